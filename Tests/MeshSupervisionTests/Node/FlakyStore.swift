import MeshConcurrency
import MeshEvents
import MeshEventsTesting

/// An in-memory store that refuses to store while it is told to.
final class FlakyStore: ForwardingStore, DurableEventStore, StreamAdministration {
    private struct State {
        var failure: MeshEventsError?
        var losesAcknowledgements = false
        var takesNextID = false
        var hangs = false
        var maximumBytes = Int.max
        var attempts = 0
    }

    let store: InMemoryStore
    private let state = Locked(State())

    init(_ store: InMemoryStore) { self.store = store }

    /// What storing throws from now on; `nil` when it works.
    func fail(with error: MeshEventsError?) { state.withLock { $0.failure = error } }
    /// Whether events are stored and a timeout is thrown all the same.
    func loseAcknowledgements(_ loses: Bool) { state.withLock { $0.losesAcknowledgements = loses } }
    /// Has another message stored with the id of the next one.
    func takeNextID() { state.withLock { $0.takesNextID = true } }
    /// Whether storing lasts until its task is cancelled.
    func hang(_ hangs: Bool = true) { state.withLock { $0.hangs = hangs } }
    /// Refuses larger messages from now on.
    func limit(bytes: Int) { state.withLock { $0.maximumBytes = bytes } }
    var attempts: Int { state.withLock { $0.attempts } }

    func append(_ message: PendingMessage, deadline: Duration) async throws(MeshEventsError) -> StoredPosition {
        let (failure, loses, hangs, maximumBytes) = state.withLock { state in
            state.attempts += 1
            return (state.failure, state.losesAcknowledgements, state.hangs, state.maximumBytes)
        }
        if hangs {
            try? await Task.sleep(for: .seconds(60))
            throw MeshEventsError(.closed, "the task was cancelled")
        }
        if let failure { throw failure }
        guard message.payload.count <= maximumBytes else {
            throw MeshEventsError(.payloadTooLarge, "at most \(maximumBytes) bytes")
        }
        let isTaken = state.withLock { state in
            defer { state.takesNextID = false }
            return state.takesNextID
        }
        if isTaken {
            _ = try await store.append(
                subject: "events.user.stranger",
                payload: [],
                messageID: message.messageID,
                deadline: deadline
            )
        }
        let position = try await store.append(message, deadline: deadline)
        if loses { throw MeshEventsError(.timeout, "the acknowledgement was lost", isRetriable: true) }
        return position
    }

    func open(_ configuration: PersistentEventBus.Configuration) async throws(MeshEventsError) -> StoreOpening {
        let opening = try await store.open(configuration)
        state.withLock { state in
            if state.failure?.code == .streamNotFound { state.failure = nil }
        }
        return opening
    }
}
