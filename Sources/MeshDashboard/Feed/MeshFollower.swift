import Locking
import Logging
import MeshEvents
import MeshLifecycle
import MeshLogging

/// How the mesh is, for as long as the task runs; begins anew when the monitor cannot go on.
final class MeshFollower: Sendable {
    /// Changes of a node that come together are told together.
    private static let pause: Duration = .milliseconds(100)
    /// How much is told in a second, in bytes: nodes with many tools are told less often.
    private static let bytesPerSecond = 1 << 20
    /// When more nodes than so many have changed, the whole state is told.
    private static let maximumChanged = 1_000

    private let store: any EventStore
    private let verification: SignatureVerification?
    private let logger: Logger
    private let monitor = Locked<MeshMonitor?>(nil)

    /// - Parameter verification: looks at signatures. Whatever its policy, an event that is not signed by its node changes
    ///   nothing.
    init(store: any EventStore, verification: SignatureVerification?, logger: Logger) {
        self.store = store
        self.verification = verification.map {
            var verification = $0
            verification.policy = .reject
            return verification
        }
        self.logger = logger
    }

    /// The mesh as it is now; empty before anything is known.
    var state: MeshState { monitor.withLock { $0 }?.state ?? MeshState() }

    /// How many events changed nothing because they are not signed by their node.
    var rejected: UInt64 { monitor.withLock { $0 }?.rejected ?? 0 }

    /// Follows the mesh until the task is cancelled.
    ///
    /// - Parameters:
    ///   - onBegin: the whole state is another one.
    ///   - onUpdate: something of a node has changed; gets the node as JSON.
    func run(onBegin: () -> Void, onUpdate: (String) -> Void) async {
        while !Task.isCancelled {
            do throws(MeshEventsError) {
                let started = try await MeshMonitor.start(store: store, verification: verification, logger: logger)
                defer { started.close() }
                let updates = started.updates()
                monitor.withLock { $0 = started }
                onBegin()
                try await follow(started, updates, onBegin: onBegin, onUpdate: onUpdate)
            } catch {
                logger.debug("the dashboard cannot follow the mesh", [.error: "\(error)"])
            }
            try? await Task.sleep(for: .seconds(1))
        }
    }

    /// Tells each node that has changed once for all changes since it was last told.
    private func follow(
        _ monitor: MeshMonitor,
        _ updates: MeshUpdates,
        onBegin: () -> Void,
        onUpdate: (String) -> Void
    ) async throws(MeshEventsError) {
        let changed = Locked<Set<String>>([])
        let (wishes, wish) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let reading = Task { () -> Result<Void, MeshEventsError> in
            defer { wish.finish() }
            do throws(MeshEventsError) {
                for try await update in updates {
                    changed.withLock { if $0.count <= Self.maximumChanged { $0.insert(update.node.name) } }
                    wish.yield()
                }
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        defer { reading.cancel() }
        for await _ in wishes {
            try? await Task.sleep(for: Self.pause)
            let names = changed.withLock { names in
                defer { names = [] }
                return names
            }
            guard names.count <= Self.maximumChanged else {
                onBegin()
                // As much as is told in a while.
                try? await Task.sleep(for: .seconds(3))
                continue
            }
            let state = monitor.state
            var bytes = 0
            for name in names {
                guard let node = state.node(name)?.json.description else { continue }
                bytes += node.utf8.count
                onUpdate(node)
            }
            if bytes > Self.bytesPerSecond / 10 {
                try? await Task.sleep(for: .seconds(1) * (Double(bytes) / Double(Self.bytesPerSecond)))
            }
        }
        if Task.isCancelled { return }
        try await reading.value.get()
    }
}
