public import MeshEvents
public import NATSClient
import Synchronization

/// Keeps events in a JetStream stream. Several stores, in this process or elsewhere, may use one stream.
public final class JetStreamStore: DurableEventStore, StreamAdministration {
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
    /// Whether the server has forbidden this user to look at the archive.
    let mayNotReadArchive = Atomic(false)

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
        streamName: String = PersistentEventBus.Configuration().streamName,
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
    /// a Go node may open it before or after. The archive that the configuration asks for is a stream of its own; when
    /// it cannot be created, the opening says why.
    ///
    /// - Throws: `persistenceUnavailable`, `permissionDenied`, `timeout`; `streamMismatch` when another stream has the
    ///   subjects, or the configuration does not accept the differences; `invalidArgument` when the configuration names
    ///   another stream or has a value out of range.
    public func open(_ configuration: PersistentEventBus.Configuration) async throws(MeshEventsError) -> StoreOpening {
        guard configuration.streamName == streamName else {
            throw MeshEventsError(
                .invalidArgument,
                "this store is about the stream \(streamName), not \(configuration.streamName)"
            )
        }
        let asked = try StreamConfiguration(configuration)
        var opening = try await retrying(until: .now + .seconds(10)) { _ throws(JetStreamError) in
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
        if let archive = configuration.archive, archive.creation == .always || opening.created {
            opening.archive = await openArchive(archive)
        }
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
                // When there is no JetStream at all, or its limits forbid a stream of this size, waiting does not help.
                let passes =
                    error.isRetriable && !error.isNoResponders
                    && ![.storageExceeded, .memoryExceeded].contains(error.errorCode)
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

extension JetStreamStore {
    /// Compares an existing stream with the configuration asked for, and updates it when the configuration says so.
    private func reconcile(
        _ configuration: PersistentEventBus.Configuration,
        _ asked: StreamConfiguration
    ) async throws(JetStreamError) -> StoreOpening {
        let stream = try await jetStream.streamInfo(streamName)
        note(stream)
        noteDomain(stream)
        let differences = asked.differences(from: stream.configuration)
        guard !differences.isEmpty, configuration.reconcile == .update else { return opening(differences) }
        // The server refuses changes that are not possible; a change of the storage it would only half carry out.
        guard !differences.contains(where: { $0.field == "storage" }) else { return opening(differences) }
        let updated = try await jetStream.updateStream(stream.configuration.updated(configuration))
        note(updated)
        return opening(asked.differences(from: updated.configuration))
    }

    private func opening(_ differences: [StreamConfiguration.Difference]) -> StoreOpening {
        StoreOpening(
            created: false,
            differences: differences.map {
                StoreOpening.Difference(field: $0.field, asked: "\($0.asked)", found: "\($0.found)")
            }
        )
    }

    /// Reports everything about the stream: its messages by subject, its consumers and how far they have read.
    ///
    /// - Throws: `streamNotFound`, `persistenceUnavailable`, `permissionDenied`, `timeout`.
    public func report() async throws(MeshEventsError) -> StreamReport {
        try await retrying(until: .now + jetStream.timeout) { _ throws(JetStreamError) in
            let stream = try await jetStream.streamInfo(streamName)
            let isEmpty = stream.state.messages == 0
            return StreamReport(
                state: state(of: stream),
                configuration: PersistentEventBus.Configuration(stream.configuration),
                firstTime: isEmpty ? nil : stream.state.firstTime.flatMap { try? Timestamp(rfc3339: $0) },
                lastTime: isEmpty ? nil : stream.state.lastTime.flatMap { try? Timestamp(rfc3339: $0) },
                subjects: try await jetStream.subjectCounts(of: streamName),
                consumers: try await jetStream.consumers(on: streamName).map { consumer in
                    StreamReport.Consumer(
                        name: consumer.name,
                        isDurable: consumer.configuration.durableName != nil,
                        filters: consumer.configuration.filterSubjects,
                        pending: consumer.pending,
                        unacknowledged: consumer.acknowledgementsPending,
                        redelivered: consumer.redelivered
                    )
                }
            )
        }
    }

    /// Deletes the events that match from the stream and from its archive; their sequences are not used again.
    ///
    /// - Returns: how many were deleted; an event that both had counts once.
    /// - Throws: `streamNotFound`, `persistenceUnavailable`, `permissionDenied`, `timeout`.
    public func purge(matching pattern: EventPattern) async throws(MeshEventsError) -> UInt64 {
        try pattern.validate()
        let subject = pattern == .all ? nil : pattern.subject
        do throws(JetStreamError) {
            let archive = try await archiveWithEverything()
            let deleted = try await jetStream.purgeStream(streamName, subject: subject)
            guard let archive else { return deleted }
            return max(deleted, try await jetStream.purgeStream(archive.configuration.name, subject: subject))
        } catch {
            throw MeshEventsError(error, stream: streamName)
        }
    }
}

extension StreamConfiguration {
    /// Makes the stream of a persistence configuration, with the server's defaults for everything else. Fields that are
    /// not asked for are not sent, so that the default stays the same as the Go implementation's.
    init(_ configuration: PersistentEventBus.Configuration) throws(MeshEventsError) {
        try configuration.validate()
        self.init(
            name: configuration.streamName,
            subjects: [EventPattern.all.subject],
            storage: Storage(rawValue: configuration.storage.rawValue) ?? .file
        )
        maximumAge = configuration.maximumAge
        maximumMessages = configuration.maximumMessages.map(Int64.init)
        maximumBytes = configuration.maximumBytes.map(Int64.init)
        duplicateWindow = configuration.duplicateWindow
        replicas = configuration.replicas
    }

    /// This stream with the settings of a persistence configuration; other fields stay as they are.
    fileprivate func updated(_ configuration: PersistentEventBus.Configuration) -> StreamConfiguration {
        var stream = self
        stream.subjects = [EventPattern.all.subject]
        stream.fields["max_age"] = .integer((configuration.maximumAge ?? .zero).wholeNanoseconds)
        stream.maximumMessages = configuration.maximumMessages.map(Int64.init) ?? -1
        stream.maximumBytes = configuration.maximumBytes.map(Int64.init) ?? -1
        stream.replicas = configuration.replicas
        if let window = configuration.duplicateWindow {
            stream.duplicateWindow = window
        } else if let age = configuration.maximumAge, let window = duplicateWindow, window > age {
            // The server requires that ids are not remembered longer than events.
            stream.duplicateWindow = age
        }
        return stream
    }
}

extension PersistentEventBus.Configuration {
    /// Converts a stream's configuration.
    init(_ stream: StreamConfiguration) {
        self.init(
            streamName: stream.name,
            maximumAge: stream.maximumAge,
            maximumMessages: stream.maximumMessages.map(Int.init),
            maximumBytes: stream.maximumBytes.map(Int.init),
            storage: stream.storage.flatMap { Storage(rawValue: $0.rawValue) } ?? .file,
            replicas: stream.replicas,
            duplicateWindow: stream.duplicateWindow
        )
    }
}

extension Duration {
    /// Whole nanoseconds; durations beyond 292 years are cut.
    fileprivate var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = min(max(self, .seconds(-9_000_000_000)), .seconds(9_000_000_000)).components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}

/// Waits between attempts: 20 ms, doubling up to a second. The last attempt is made just before the deadline.
struct RetryBackoff {
    /// When to give up.
    var deadline: ContinuousClock.Instant
    private var delay: Duration = .milliseconds(20)

    init(deadline: ContinuousClock.Instant) { self.deadline = deadline }

    /// Waits; `false` when the deadline has come or the task was cancelled.
    mutating func wait() async -> Bool {
        let last = deadline - .milliseconds(50)
        guard .now < last else { return false }
        let wake = min(.now + delay * Double.random(in: 0.75...1.25), last)
        delay = min(delay * 2, .seconds(1))
        do {
            try await Task.sleep(until: wake)
            return true
        } catch {
            return false
        }
    }
}
