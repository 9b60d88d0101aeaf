import MeshEvents
import MeshLifecycle

/// The source of live events while the mesh has no stream: one subscription for the events and the state of the mesh.
struct LiveSource: Sendable {
    /// The subscription's buffer; when it is full, the oldest event is dropped and counted.
    private static let buffer = BufferConfiguration(maximumBytes: 16 << 20)
    /// How often it checks whether nodes have become unreachable or silent.
    private static let tick: Duration = .seconds(1)
    /// The first and the longest pause between two checks for a stream.
    private static let delays = (first: Duration.milliseconds(250), last: Duration.seconds(2))

    let bus: EventBus
    let store: any EventStore
    /// Gets the state of the mesh from live events.
    let mesh: MeshFollower
    /// Whether only events that are signed by their node change the state of the mesh.
    let takesSignedOnly: Bool

    /// Passes live events to `feed` until there is a stream, or the task is cancelled.
    ///
    /// - Throws: when it cannot subscribe, or the subscription fails.
    func run(for feed: EventFeed) async throws {
        let live = try await LiveMesh(bus, buffer: Self.buffer, takesSignedOnly: takesSignedOnly)
        defer { live.close() }
        mesh.show(live)
        feed.beginLive()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                var missed: UInt64 = 0
                try await live.run { event in
                    let dropped = live.dropped
                    if dropped > missed { feed.miss(live: dropped - missed) }
                    missed = dropped
                    feed.take(live: event)
                } tell: { change in
                    mesh.changed(change)
                }
            }
            group.addTask {
                while (try? await Task.sleep(for: Self.tick)) != nil {
                    for change in live.advance() { mesh.changed(change) }
                }
            }
            group.addTask { await waitForStream() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func waitForStream() async {
        var delay = Self.delays.first
        while (try? await Task.sleep(for: delay)) != nil {
            if (try? await store.state()) != nil { return }
            delay = min(delay * 2, Self.delays.last)
        }
    }
}
