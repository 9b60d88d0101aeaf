import Locking
import Logging
import MeshEvents
import MeshLifecycle
import MeshLogging

/// How the mesh is, for as long as the task runs; begins anew when the monitor cannot go on.
final class MeshFollower: Sendable {
    private let store: any EventStore
    private let logger: Logger
    private let monitor = Locked<MeshMonitor?>(nil)

    init(store: any EventStore, logger: Logger) {
        self.store = store
        self.logger = logger
    }

    /// The mesh as it is now; empty before anything is known.
    var state: MeshState { monitor.withLock { $0 }?.state ?? MeshState() }

    /// Follows the mesh until the task is cancelled.
    ///
    /// - Parameters:
    ///   - onBegin: the whole state is another one.
    ///   - onUpdate: something of a node has changed.
    func run(onBegin: () -> Void, onUpdate: (MeshUpdate) -> Void) async {
        while !Task.isCancelled {
            do throws(MeshEventsError) {
                let started = try await MeshMonitor.start(store: store, logger: logger)
                defer { started.close() }
                let updates = started.updates()
                monitor.withLock { $0 = started }
                onBegin()
                for try await update in updates { onUpdate(update) }
            } catch {
                logger.debug("the dashboard cannot follow the mesh", [.error: "\(error)"])
            }
            try? await Task.sleep(for: .seconds(1))
        }
    }
}
