public import MeshEvents
public import NATSClient
import Synchronization

/// Keeps events in a JetStream stream. Several stores, in this process or elsewhere, may use one stream.
public final class JetStreamStore: EventStore {
    /// The stream's name.
    public let streamName: String
    /// JetStream's API on the store's connection.
    public let jetStream: JetStream

    /// How long the stream remembers message ids; after that a retry may store a message twice.
    private let knownDuplicateWindow = Mutex<Duration>(.seconds(120))
    /// How many messages of each subject the stream keeps; 0 for any number.
    private let knownSubjectLimit = Atomic(0)
    /// Whether the stream stores messages under other subjects than those they are sent to.
    let renamesSubjects = Atomic(false)
    /// The connection's number of reconnects when the stream's configuration was last requested.
    private let notedReconnects = Atomic<UInt64>(0)
    /// Decides whether an acknowledgement comes from this stream.
    let origin: AcknowledgementOrigin
    /// Whether the stream is configured to send no acknowledgements.
    let acknowledgesNothing = Atomic(false)
    /// The highest sequence that the stream is known to have given, and when the stream was created. A message that is
    /// sent from now on gets a higher one, or goes into another stream.
    private let highest = Mutex(StreamPosition(0, created: nil))
    /// Whether the server has forbidden this user to create consumers, so that it reads message by message.
    let readsMessages = Atomic(false)

    /// Creates a store; sends nothing to the server yet.
    ///
    /// - Parameters:
    ///   - connection: the connection to use; it may carry an ``NATSTransport`` too.
    ///   - streamName: the stream this store is about; ``open(_:)`` must name the same.
    ///   - domain: the JetStream domain that has the stream; `nil` for the one of the connection's configuration, else
    ///     the server's own.
    ///   - prefix: what the subjects of JetStream's API begin with, instead of `domain`: for an account that imports
    ///     another's JetStream under its own name.
    public init(
        _ connection: NATSConnection,
        streamName: String = PersistenceConfiguration().streamName,
        domain: String? = nil,
        prefix: String? = nil
    ) {
        self.streamName = streamName
        jetStream = JetStream(connection: connection, domain: domain, prefix: prefix)
        origin = AcknowledgementOrigin(stream: streamName) { [weak connection] other in
            connection?.report(
                NATSError(
                    .serverError,
                    "two streams store the events: besides \(streamName), which was opened, \(other) acknowledges "
                        + "them; its acknowledgements do not count. \(MeshEventsError.domainAdvice)"
                )
            )
        }
    }

    var duplicateWindow: Duration { knownDuplicateWindow.withLock { $0 } }

    /// How many messages of each subject the stream keeps; `nil` for any number.
    var subjectLimit: Int? {
        let limit = knownSubjectLimit.load(ordering: .relaxed)
        return limit > 0 ? limit : nil
    }

    /// Creates the stream, or finds it; the configuration says what happens when an existing one differs.
    ///
    /// The stream of the default configuration has exactly the fields of the one that the Go implementation creates, so
    /// a Go node may open it before or after.
    ///
    /// - Throws: `persistenceUnavailable`, `permissionDenied`, `timeout`; `streamMismatch` when another stream has the
    ///   subjects, or the configuration does not accept the differences; `invalidArgument` when the configuration names
    ///   another stream or has a value out of range.
    public func open(_ configuration: PersistenceConfiguration) async throws(MeshEventsError) -> StoreOpening {
        guard configuration.streamName == streamName else {
            throw MeshEventsError(
                .invalidArgument,
                "this store is about the stream \(streamName), not \(configuration.streamName)"
            )
        }
        let asked = try StreamConfiguration(configuration)
        let opening = try await retrying(until: .now + .seconds(10)) { _ throws(JetStreamError) in
            // Another process may create the stream between the two requests: then it exists, and is left as it is.
            do throws(JetStreamError) {
                return try await reconcile(configuration, asked)
            } catch  where error.errorCode == .streamNotFound {
                do throws(JetStreamError) {
                    note(try await jetStream.createStream(asked))
                    // Only the answer to this request names the domain.
                    if let stream = try? await jetStream.streamInfo(streamName) { noteDomain(stream) }
                    return StoreOpening(created: true, differences: [])
                } catch  where error.errorCode == .streamNameInUse {
                    return try await reconcile(configuration, asked)
                }
            }
        }
        try opening.check(configuration)
        return opening
    }

    /// The state of the stream.
    ///
    /// - Throws: `streamNotFound`, `persistenceUnavailable`, `permissionDenied`, `timeout`.
    public func state() async throws(MeshEventsError) -> StreamState {
        try await retrying(until: .now + jetStream.timeout) { _ throws(JetStreamError) in
            let stream = try await jetStream.streamInfo(streamName)
            note(stream)
            return state(of: stream)
        }
    }

    func state(of stream: StreamInformation) -> StreamState {
        let state = stream.state
        return StreamState(
            name: streamName,
            messages: state.messages,
            bytes: state.bytes,
            firstSequence: state.messages == 0 ? state.lastSequence.nextSequence : state.firstSequence,
            lastSequence: state.lastSequence,
            created: stream.creation
        )
    }

    /// Takes over the stream's domain from its information.
    func noteDomain(_ stream: StreamInformation) { origin.opened(domain: stream.domain) }

    var lastKnownPosition: StreamPosition { highest.withLock { $0 } }

    /// Notes a sequence of the stream from an acknowledgement, which does not say of which stream.
    func note(sequence: UInt64) { highest.withLock { $0.sequence = max($0.sequence, sequence) } }

    func note(_ stream: StreamInformation) {
        acknowledgesNothing.store(stream.configuration.fields["no_ack"] == true, ordering: .relaxed)
        highest.withLock { $0 = StreamPosition(stream.state.lastSequence, created: stream.creation) }
        renamesSubjects.store(stream.configuration.fields["subject_transform"] != nil, ordering: .relaxed)
        if case .integer(let limit)? = stream.configuration.fields["max_msgs_per_subject"] {
            knownSubjectLimit.store(Int(clamping: limit), ordering: .relaxed)
        }
        guard let window = stream.configuration.duplicateWindow else { return }
        knownDuplicateWindow.withLock { $0 = window }
    }

    /// Requests the stream's configuration when the connection was lost since the last time. The stream may now
    /// remember ids for a shorter time, or have been created again. Called before messages are sent again.
    func renew() async {
        let reconnects = UInt64(clamping: jetStream.connection.statistics.reconnects)
        guard notedReconnects.load(ordering: .relaxed) != reconnects,
            let stream = try? await jetStream.streamInfo(streamName, timeout: .seconds(2))
        else { return }
        note(stream)
        notedReconnects.store(reconnects, ordering: .relaxed)
    }

    /// Runs a request that is safe to repeat; repeats it after errors that can pass, until the deadline.
    func retrying<Answer>(
        until deadline: ContinuousClock.Instant,
        _ body: (ContinuousClock.Instant) async throws(JetStreamError) -> Answer
    ) async throws(MeshEventsError) -> Answer {
        var backoff = RetryBackoff(deadline: deadline)
        while true {
            do throws(JetStreamError) {
                return try await body(deadline)
            } catch {
                // When there is no JetStream at all, waiting does not help.
                let passes = error.isRetriable && !error.isNoResponders
                guard passes || error.errorCode == .consumerNotFound, await backoff.wait() else {
                    throw MeshEventsError(error, stream: streamName)
                }
            }
        }
    }
}

extension StreamInformation {
    /// When the stream was created; `nil` when the server does not say.
    var creation: Timestamp? { created.flatMap { try? Timestamp(rfc3339: $0) } }
}
