public import MeshEvents
import NATSClient

extension JetStreamStore {
    /// How many deliveries to all subscribers together may be without an answer; beyond that the server delivers
    /// nothing new.
    ///
    /// It is finite, because the server keeps a record of each, and because a handler that fails for every event must
    /// stop somewhere. It is large, because events that wait for their redelivery count, and must not hold up the
    /// others.
    private static let maximumAcknowledgementsPending = 10_000

    /// Creates a durable pull consumer, or finds the one of that name.
    ///
    /// The server is told to deliver without end (`max_deliver` -1); subscribers count deliveries, by the number in
    /// each message's acknowledgement subject. With a maximum of its own, the server would silently drop an event whose
    /// last subscriber died before it could store the dead letter. The maximum is in the consumer's description, so
    /// that subscribers with different maxima notice.
    ///
    /// - Throws: `durableMismatch`, `streamNotFound`, `streamMismatch` when the pattern lies outside the stream,
    ///   `invalidArgument`, `invalidPattern`, `persistenceUnavailable`, `timeout`, `closed`; `permissionDenied`, which
    ///   names the command for an admin, when this user may not create or change it.
    public func openDurable(
        _ configuration: DurableDefinition,
        reconcile: DurableSubscription.Configuration.Reconciliation
    ) async throws(MeshEventsError) -> any DurableConsumer {
        try configuration.validate()
        let consumer: ConsumerConfiguration
        do throws(MeshEventsError) {
            consumer = try await retrying(until: .now + .seconds(10)) { _ throws(JetStreamError) in
                try await found(configuration, reconcile)
            }
        } catch {
            throw configuration.explained(error)
        }
        let differences = configuration.differences(from: consumer)
        guard differences.isEmpty else { throw .durableMismatch(configuration.name, differences) }
        return JetStreamDurableConsumer(
            jetStream: jetStream,
            streamName: streamName,
            name: configuration.name,
            limits: PullLimits(consumer),
            acknowledgementWait: configuration.acknowledgementWait,
            // This user may be allowed to use only its durable, so that the request fails.
            created: try? await jetStream.streamInfo(streamName).creation
        )
    }

    /// Deletes a durable consumer.
    ///
    /// - Throws: `durableNotFound`, `streamNotFound`, `persistenceUnavailable`, `permissionDenied`, `timeout`.
    public func deleteDurable(_ name: String) async throws(MeshEventsError) {
        do throws(JetStreamError) {
            try await jetStream.deleteConsumer(name, on: streamName)
        } catch {
            guard error.errorCode == .consumerNotFound else { throw MeshEventsError(error, stream: streamName) }
            throw JetStreamDurableConsumer.missing(name)
        }
    }

    /// Creates or updates the consumer; returns its resulting configuration.
    private func found(
        _ asked: DurableDefinition,
        _ reconcile: DurableSubscription.Configuration.Reconciliation
    ) async throws(JetStreamError) -> ConsumerConfiguration {
        let consumer: ConsumerInformation
        do throws(JetStreamError) {
            consumer = try await jetStream.consumerInfo(asked.name, on: streamName)
        } catch  where error.errorCode == .consumerNotFound {
            var configuration = ConsumerConfiguration(
                durableName: asked.name,
                start: Self.start(asked.start),
                maximumAcknowledgementsPending: Self.maximumAcknowledgementsPending,
                maximumRequestBatch: JetStreamDurableConsumer.largestRequest
            )
            Self.apply(asked, to: &configuration)
            do throws(JetStreamError) {
                return try await jetStream.createConsumer(configuration, on: streamName, action: .create).configuration
            } catch  where error.errorCode == .consumerExists || error.errorCode == .consumerNameExists {
                // Another process has created it in between, with other settings. Servers before 2.10 update it
                // instead: when both processes want different settings, the later one's apply.
                consumer = try await jetStream.consumerInfo(asked.name, on: streamName)
            }
        }
        guard reconcile == .update, !asked.differences(from: consumer.configuration).isEmpty else {
            return consumer.configuration
        }
        // Start from the server's answer, including fields of newer servers, and set what is asked for.
        var configuration = consumer.configuration
        Self.apply(asked, to: &configuration)
        return try await jetStream.createConsumer(configuration, on: streamName, action: .update).configuration
    }

    private static func apply(_ asked: DurableDefinition, to configuration: inout ConsumerConfiguration) {
        configuration.filterSubjects = [asked.pattern.subject]
        configuration.acknowledgementWait = asked.acknowledgementWait
        configuration.maximumDeliveries = nil
        configuration.backoff = []
        configuration.descriptionText = DurableDescription(maximumDeliveries: asked.maximumDeliveries).text
    }

    private static func start(_ start: StreamStart) -> ConsumerConfiguration.Start {
        switch start {
        case .beginning: .all
        case .new: .new
        case .sequence(let sequence): .sequence(sequence)
        case .time(let time): .time(time.description)
        }
    }
}

/// The text in a consumer's description: the maximum of deliveries, which the server does not enforce.
private struct DurableDescription {
    private static let prefix = "mesh-events durable, maximum deliveries "

    let maximumDeliveries: Int

    init(maximumDeliveries: Int) { self.maximumDeliveries = maximumDeliveries }

    /// `nil` for a text of another program.
    init?(_ text: String?) {
        guard let text, text.hasPrefix(Self.prefix), let count = Int(text.dropFirst(Self.prefix.count)) else {
            return nil
        }
        maximumDeliveries = count
    }

    var text: String { "\(Self.prefix)\(maximumDeliveries)" }
}

extension DurableDefinition {
    /// Explains why a durable cannot be opened; names the command for an admin when this user may not create or change
    /// it.
    fileprivate func explained(_ error: MeshEventsError) -> MeshEventsError {
        guard error.code == .permissionDenied, let cause = error.underlying as? NATSError,
            cause.subject?.contains(".CONSUMER.DURABLE.CREATE.") == true
        else { return error }
        let standard = DurableSubscription.Configuration()
        var command = "mesh-events stream durable \(name) '\(pattern)'"
        if maximumDeliveries != standard.maximumDeliveries { command += " --max-deliveries \(maximumDeliveries)" }
        if acknowledgementWait != standard.acknowledgementWait {
            command += " --ack-wait \(Int64(acknowledgementWait / .milliseconds(1)))ms"
        }
        return MeshEventsError(
            .permissionDenied,
            "the server forbids this user to create or change the durable \(name); of the roles of `mesh-events auth`, only "
                + "admins may: `\(command)`, once, with an admin's key (and --update when it is there already)",
            underlying: error.underlying
        )
    }

    /// The settings in which a consumer differs from this configuration.
    func differences(from found: ConsumerConfiguration) -> [StoreOpening.Difference] {
        typealias Difference = StoreOpening.Difference
        var differences: [Difference] = []
        func compare(_ field: String, _ asked: String, _ found: String) {
            if asked != found { differences.append(Difference(field: field, asked: asked, found: found)) }
        }
        let filters = found.filterSubjects.isEmpty ? [EventPattern.all.subject] : found.filterSubjects
        compare("pattern", pattern.subject, filters.joined(separator: ", "))
        let wait = found.acknowledgementWait.map { "\($0)" } ?? "none"
        compare("acknowledgement wait", "\(acknowledgementWait)", wait)
        let maximum = DurableDescription(found.descriptionText).map { "\($0.maximumDeliveries)" }
        compare("maximum deliveries", "\(maximumDeliveries)", maximum ?? "unknown")
        compare("max_deliver of the server", "-1", "\(found.maximumDeliveries ?? -1)")
        compare("backoff of the server", "none", found.backoff.isEmpty ? "none" : "\(found.backoff)")
        compare("ack_policy", "explicit", found.acknowledgementPolicy.rawValue)
        return differences
    }
}
