import MeshConcurrency
import MeshEvents
import MeshMonitoring

/// The source of live events while the mesh has no stream: one subscription for the events and the state of the mesh.
struct LiveSource: Sendable {
    /// The subscription's buffer; when it is full, the oldest event is dropped and counted.
    private static let buffer = EventSubscription.Buffer(maximumBytes: 16 << 20)
    /// How often it checks whether nodes have become unreachable or silent.
    private static let tick: Duration = .seconds(1)
    /// How long the events that were sent before the stream was found may take to arrive.
    private static let drainTime: Duration = .seconds(5)

    let bus: EventBus
    let store: any EventStore
    /// Gets the state of the mesh from live events.
    let mesh: MeshFollower
    /// Whether only events that are signed by their node change the state of the mesh.
    let takesSignedOnly: Bool

    /// Passes live events to `feed` until there is a stream, or the task is cancelled.
    ///
    /// - Returns: The stream. All events that it held then have been passed to `feed`, but those that `feed` was told to be
    ///   missing.
    /// - Throws: when it cannot subscribe, or the subscription fails.
    func run(for feed: EventFeed) async throws -> StreamState {
        let live = try await LiveMesh(bus, buffer: Self.buffer, takesSignedOnly: takesSignedOnly)
        defer { live.close() }
        mesh.show(live)
        feed.beginLive()
        let found = Locked(StreamState?.none)
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask {
                while (try? await Task.sleep(for: Self.tick)) != nil {
                    for change in live.advance() { mesh.changed(change) }
                }
            }
            group.addTask {
                let stream = try await LiveMesh.waitForStream { try? await store.state() }
                found.withLock { $0 = stream }
                await live.drain(timeout: Self.drainTime)
            }
            var missed: UInt64 = 0
            func reportDropped() {
                let dropped = live.dropped
                if dropped > missed { feed.miss(live: dropped - missed) }
                missed = dropped
            }
            // Ends once the events are drained, or because the connection was closed.
            try await live.run { event in
                reportDropped()
                feed.take(live: event)
            } tell: { change in
                mesh.changed(change)
            }
            reportDropped()
        }
        guard let stream = found.withLock({ $0 }) else {
            throw MeshEventsError(.closed, "the subscription to live events has ended")
        }
        return stream
    }
}
