import MeshConcurrency
public import MeshEvents

extension InMemoryStore {
    /// Creates a durable subscription, or opens the existing one of that name.
    ///
    /// - Throws: `durableMismatch`, `streamNotFound`, `invalidArgument`, `invalidPattern`.
    public func openDurable(
        _ configuration: DurableDefinition,
        reconcile: DurableSubscription.Configuration.Reconciliation
    ) async throws(MeshEventsError) -> any DurableConsumer {
        try configuration.validate()
        let name = configuration.name
        let differences = mesh.withStreams { streams, now -> [StoreOpening.Difference]? in
            guard let stream = streams[streamName] else { return nil }
            guard let found = stream.durables[name] else {
                streams[streamName]?.expire(now)
                streams[streamName]?.durables[name] = InMemoryDurable(
                    configuration,
                    kept: stream.kept,
                    last: stream.lastSequence
                )
                return []
            }
            let differences = configuration.differences(from: found.configuration)
            if reconcile == .update { streams[streamName]?.durables[name]?.update(configuration) }
            return reconcile == .update ? [] : differences
        }
        guard let differences else { throw Self.noStream(streamName) }
        guard differences.isEmpty else { throw .durableMismatch(name, differences) }
        return InMemoryDurableConsumer(mesh: mesh, streamName: streamName, name: name)
    }

    /// Deletes a durable subscription.
    ///
    /// - Throws: `durableNotFound`, `streamNotFound`.
    public func deleteDurable(_ name: String) async throws(MeshEventsError) {
        let isFound = mesh.withStreams { streams, _ -> Bool? in
            guard streams[streamName] != nil else { return nil }
            return streams[streamName]?.durables.removeValue(forKey: name) != nil
        }
        guard let isFound else { throw Self.noStream(streamName) }
        guard isFound else { throw InMemoryDurableConsumer.missing(name) }
        mesh.streamsChanged()
    }

    static func noStream(_ name: String) -> MeshEventsError {
        MeshEventsError(.streamNotFound, "the stream \(name) does not exist; open it first")
    }
}

/// One subscriber of a durable in memory.
final class InMemoryDurableConsumer: DurableConsumer {
    private let mesh: InMemoryMesh
    private let streamName: String
    private let name: String

    init(mesh: InMemoryMesh, streamName: String, name: String) {
        self.mesh = mesh
        self.streamName = streamName
        self.name = name
    }

    static func missing(_ name: String) -> MeshEventsError {
        MeshEventsError(.durableNotFound, "the durable \(name) does not exist; it may have been deleted")
    }

    func fetch(_ limit: Int, wait: Duration) async throws(MeshEventsError) -> [DurableMessage] {
        let deadline = ContinuousClock.now + wait
        while true {
            let change = OneTimeSignal()
            let (messages, due) = try look(limit, change)
            if !messages.isEmpty || .now >= deadline { return messages }
            // Redeliveries follow the mesh's clock, which may be a manual one.
            let timer = due.map { due in
                Task { [mesh] in
                    try await mesh.configuration.sleep(max(due.duration(since: mesh.configuration.now()), .zero))
                    change.send()
                }
            }
            defer { timer?.cancel() }
            do throws(MeshEventsError) {
                try await change.wait(until: deadline, for: "a message")
            } catch {
                guard error.code == .timeout else { throw error }
                return []
            }
        }
    }

    func answer(
        _ message: DurableMessage,
        _ answer: DurableAnswer,
        deadline: Duration
    ) async throws(MeshEventsError) {
        take(message, answer)
    }

    func extend(_ message: DurableMessage) { take(message, .inProgress) }

    private func take(_ message: DurableMessage, _ answer: DurableAnswer) {
        mesh.withStreams { streams, now in
            streams[streamName]?.durables[name]?.answer(message.token, answer, now: now)
        }
        if case .redeliver = answer { mesh.streamsChanged() }
    }

    private func look(
        _ limit: Int,
        _ change: OneTimeSignal
    ) throws(MeshEventsError) -> (messages: [DurableMessage], due: Timestamp?) {
        let result = mesh.withStreams(watcher: change) { streams, now -> (([DurableMessage], Timestamp?)?, Bool) in
            streams[streamName]?.expire(now)
            guard let kept = streams[streamName]?.kept,
                let messages = streams[streamName]?.durables[name]?.fetch(limit, from: kept, now: now)
            else { return (nil, false) }
            return ((messages, streams[streamName]?.durables[name]?.nextDue), messages.isEmpty)
        }
        guard let result else { throw Self.missing(name) }
        return result
    }
}
