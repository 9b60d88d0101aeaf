import MeshEvents
import MeshMonitoring
import NATSClient
import Synchronization

/// Shows the status repeatedly, until the task is cancelled.
struct StatusWatch: Sendable {
    let monitor: MeshMonitor
    let connection: NATSConnection
    let printer: StatusPrinter

    /// How often the picture on a terminal is drawn again, so that ages are up to date.
    private static let tick: Duration = .seconds(1)

    /// Shows the status until the connection is closed or the task is cancelled.
    ///
    /// - Throws: `MeshEventsError` when the monitor fails, `OutputClosed` when standard output has no reader any more.
    func run() async throws {
        let (wishes, wish) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let updates = monitor.updates()
        try await withThrowingTaskGroup(of: Void.self) { group in
            let notice = ConnectionNotice()
            group.addTask {
                for try await update in updates where printer.isShown(update.change) { wish.yield() }
                wish.finish()
            }
            group.addTask { await watchConnection(notice) { wish.yield() } }
            if printer.isInPlace {
                group.addTask {
                    while (try? await Task.sleep(for: Self.tick)) != nil { wish.yield() }
                }
            }
            group.addTask { try await show(wishes, notice) }
            // The first task that ends, ends all: the connection is closed, or standard output has no reader.
            try await group.next()
            group.cancelAll()
        }
    }

    private func show(_ wishes: AsyncStream<Void>, _ notice: ConnectionNotice) async throws {
        let address = await connection.currentAddress?.description ?? "a server"
        var isFirst = true
        func show() throws {
            let state = notice.text ?? "\(address) (Ctrl-C ends)"
            try printer.show(monitor.state, heading: "mesh-events status: \(state)", isFirst: isFirst)
            isFirst = false
        }
        try show()
        var pause = StatusPrinter.pause
        for await _ in wishes {
            try await Task.sleep(for: pause)
            // A large mesh is shown less often.
            pause = max(StatusPrinter.pause, try ContinuousClock().measure { try show() })
        }
    }

    /// Reports a lost connection: on a terminal in the picture, else in a line on standard error.
    private func watchConnection(_ notice: ConnectionNotice, _ changed: @Sendable () -> Void) async {
        guard printer.isInPlace else {
            await ConnectionReport(connection: connection, missing: "no events arrive meanwhile").run()
            return
        }
        for await status in connection.statusUpdates() {
            switch status {
            case .disconnected(let reason, _):
                notice.set("the connection is lost (\(reason.message)); connecting again")
            case .connected, .reconnected: notice.set(nil)
            default: continue
            }
            changed()
        }
    }
}

/// The present message about the connection; `nil` when it is up.
private final class ConnectionNotice: Sendable {
    private let value = Mutex<String?>(nil)

    var text: String? { value.withLock { $0 } }

    func set(_ text: String?) { value.withLock { $0 = text } }
}
