import MeshEvents
import MeshLifecycle

/// What comes while the mesh keeps no stream: one subscription, for the events and for the state of the mesh.
struct LiveSource: Sendable {
    /// What may wait to be taken in; the oldest makes room, and is counted.
    private static let buffer = BufferConfiguration(maximumBytes: 16 << 20)
    /// How often it is looked whether nodes have fallen silent.
    private static let tick: Duration = .seconds(1)
    /// How often to look for a stream at least, and at most.
    private static let delays = (first: Duration.milliseconds(250), last: Duration.seconds(2))

    let bus: EventBus
    let store: any EventStore
    /// Shows the mesh as it is heard.
    let mesh: MeshFollower
    /// Whether only events that are signed by their node tell how the mesh is.
    let takesSignedOnly: Bool

    /// Tells `feed` what comes until there is a stream, or the task is cancelled.
    ///
    /// - Throws: when it cannot listen.
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
