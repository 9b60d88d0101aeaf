import MeshConcurrency
package import MeshEvents

/// Stores events of types of which only the holder of a lease stores any, each only if no other of its type was stored that
/// is not known yet.
///
/// Who has lost the lease may believe for a while that it has it still, and what it has sent may arrive later than that. So
/// the lease is not enough: of two that store the same, one is refused by the stream, and then finds what the other one has
/// stored.
package final class FencedWriter: Sendable {
    private struct State {
        /// The newest event of each type, by the stream; `nil` until that is known.
        var newest: [EventType: UInt64] = [:]
        /// The newest event of each type that was stored here.
        var own: [EventType: UInt64] = [:]
    }

    private let store: any EventStore
    private let lease: Lease
    private let state = Locked(State())

    package init(_ store: any EventStore, _ lease: Lease) {
        self.store = store
        self.lease = lease
    }

    /// Notes an event that was read from the stream.
    package func noteRead(_ type: EventType, at sequence: UInt64) {
        state.withLock { state in
            if let known = state.newest[type] { state.newest[type] = max(known, sequence) }
        }
    }

    /// Notes an event of an own type that was stored without this writer.
    package func noteStored(_ type: EventType, at sequence: UInt64) {
        state.withLock { state in
            state.newest[type] = max(state.newest[type] ?? 0, sequence)
            state.own[type] = max(state.own[type] ?? 0, sequence)
        }
    }

    /// Stores an event.
    ///
    /// - Parameters:
    ///   - type: the event's type.
    ///   - message: the event, without a condition.
    ///   - position: the sequence up to which all events are taken in; it is asked for when the newest one is known.
    ///   - deadline: how long the store may take.
    /// - Returns: where it is stored; `nil` when the lease is lost, or another event of the type is not taken in yet. Then it
    ///   was not sent.
    /// - Throws: `conflict` when another event of the type was stored meanwhile, or the stream has dropped the newest one;
    ///   the errors of ``EventStore/append(_:deadline:)``. After each the newest one is looked up anew.
    package func store(
        _ type: EventType,
        _ message: PendingMessage,
        takenIn position: () -> UInt64,
        deadline: Duration
    ) async throws(MeshEventsError) -> StoredPosition? {
        let expected = try await newest(type)
        // Those before an own one were known when that was stored.
        guard expected <= position() || expected == state.withLock({ $0.own[type] }), lease.isHeld else { return nil }
        var message = message
        message.expectedLastSequence = expected
        do throws(MeshEventsError) {
            let stored = try await store.append(message, deadline: deadline)
            noteStored(type, at: stored.sequence)
            return stored
        } catch {
            state.withLock { $0.newest[type] = nil }
            throw error
        }
    }

    private func newest(_ type: EventType) async throws(MeshEventsError) -> UInt64 {
        if let known = state.withLock({ $0.newest[type] }) { return known }
        let pattern = EventPattern(type: type)
        let found = try await store.newest(1, matching: pattern, before: nil, timeout: lease.interval).last
        return state.withLock { state in
            let newest = max(state.newest[type] ?? 0, found?.sequence ?? 0)
            state.newest[type] = newest
            return newest
        }
    }
}
