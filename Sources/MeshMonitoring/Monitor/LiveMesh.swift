import MeshConcurrency
package import MeshEvents

/// The state of the mesh from live events alone, for servers without a stream. Events from before the start, or from
/// while the connection was lost, are missing.
package final class LiveMesh: Sendable {
    private let subscription: EventSubscription
    private let takesSignedOnly: Bool
    private let mesh = Locked(MeshState())
    private let unsigned = Locked<UInt64>(0)

    /// Subscribes to all events.
    ///
    /// - Parameters:
    ///   - bus: the bus to subscribe on.
    ///   - buffer: the limits of the subscription's buffer; the bus's when `nil`.
    ///   - takesSignedOnly: whether only events with a signature that the bus verified change the state.
    /// - Throws: as ``/MeshEvents/EventBus``.
    package init(
        _ bus: EventBus,
        buffer: EventSubscription.Buffer? = nil,
        takesSignedOnly: Bool = false
    ) async throws(MeshEventsError) {
        subscription = try await bus.subscribe(buffer: buffer)
        self.takesSignedOnly = takesSignedOnly
    }

    /// The mesh as it is now.
    package var state: MeshState {
        var mesh = mesh.withLock { $0 }
        mesh.advance(to: .now)
        return mesh
    }

    /// How many events changed nothing because they are not signed by their node.
    package var rejected: UInt64 { subscription.rejected + unsigned.withLock { $0 } }

    /// How many events were lost because the buffer was full.
    package var dropped: UInt64 { subscription.dropped }

    /// Takes in events until the task is cancelled or the connection is closed.
    ///
    /// - Parameters:
    ///   - hear: is called with every event.
    ///   - tell: is called with every change of the mesh.
    package func run(
        hear: (Event) -> Void = { _ in },
        tell: (MeshState.Change) -> Void
    ) async throws(MeshEventsError) {
        for try await event in subscription {
            hear(event)
            guard MeshMonitor.patterns.contains(where: { $0.matches(event.type) }) else { continue }
            guard !takesSignedOnly || event.signature.isTrusted else {
                unsigned.withLock { $0 += 1 }
                continue
            }
            let change = mesh.withLock { $0.apply(event, receivedAt: .now) }
            if let change { tell(change) }
        }
    }

    /// Moves the state's time to now.
    ///
    /// - Returns: The nodes that have become unreachable or silent since the last call.
    package func advance() -> [MeshState.Change] { mesh.withLock { $0.advance(to: .now) } }

    /// Takes in the events that were sent before the call, then ends the subscription, so that ``run(hear:tell:)``
    /// returns.
    package func drain(timeout: Duration) async { try? await subscription.drain(timeout: timeout) }

    /// Ends the subscription.
    package func close() { subscription.cancel() }
}

extension LiveMesh {
    /// Looks for a stream until there is one. Each pause between two looks is twice as long as the one before, from
    /// 250 ms to 2 s. It begins with a pause: that there is none is why the caller uses live events.
    ///
    /// - Parameter look: returns what it found, or `nil` for none.
    /// - Throws: what `look` throws; `CancellationError` when the task is cancelled.
    package static func waitForStream<Found>(_ look: () async throws -> Found?) async throws -> Found {
        var pause = Duration.milliseconds(250)
        while true {
            try await Task.sleep(for: pause)
            if let found = try await look() { return found }
            pause = min(pause * 2, .seconds(2))
        }
    }
}
