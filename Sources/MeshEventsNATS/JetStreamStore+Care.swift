public import MeshEvents
import NATSClient

extension JetStreamStore {
    /// Compares an existing stream with the configuration asked for, and updates it when the configuration says so.
    func reconcile(
        _ configuration: PersistenceConfiguration,
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
                configuration: PersistenceConfiguration(stream.configuration),
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

    /// Deletes the events that match; their sequences are not used again.
    ///
    /// - Returns: how many were deleted.
    /// - Throws: `streamNotFound`, `persistenceUnavailable`, `permissionDenied`, `timeout`.
    public func purge(matching pattern: EventPattern) async throws(MeshEventsError) -> UInt64 {
        try pattern.validate()
        do throws(JetStreamError) {
            return try await jetStream.purgeStream(streamName, subject: pattern == .all ? nil : pattern.subject)
        } catch {
            throw MeshEventsError(error, stream: streamName)
        }
    }
}
