import ProcessGuard
import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif
#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A `nats-server` that runs as a child of this process.
///
/// ```swift
/// let server = try await LocalNATSServer.start()
/// print(server.url)  // nats://127.0.0.1:41235
/// await server.stop()
/// ```
///
/// The server ends with this process, even when `SIGKILL` ends it, and with the last reference to this object. Until
/// then it runs on its own: a Ctrl-C at the terminal does not reach it.
public final class LocalNATSServer: Sendable {
    private struct State {
        var running: ServerLauncher.Running
        /// Whether the caller asked for the end of the present process.
        var endRequested = false
        var stopped = false
        var extraConfiguration: String
    }

    /// How the server was asked to run.
    public let configuration: Configuration
    /// The version of the server, for example `2.9.10`.
    public let version: String
    /// Where its streams are kept.
    public var storeDirectory: String { launcher.files.store }
    /// The port on which it accepts clients.
    public let port: Int

    private let launcher: ServerLauncher
    private let serverVersion: ServerVersion
    private let state: Mutex<State>

    private init(launcher: ServerLauncher, version: ServerVersion, running: ServerLauncher.Running) {
        self.launcher = launcher
        configuration = launcher.configuration
        serverVersion = version
        self.version = version.description
        port = running.port
        state = Mutex(State(running: running, extraConfiguration: configuration.extraConfiguration))
    }

    deinit {
        state.withLock { $0.running.process.signal(SIGKILL) }
        launcher.files.remove()
    }

    /// Starts a server and waits until it accepts clients, with JetStream when the configuration asks for it.
    ///
    /// - Throws: `LocalNATSServerError`, or `CancellationError`; nothing is left behind then.
    public static func start(_ configuration: Configuration = Configuration()) async throws -> LocalNATSServer {
        let executable = try ExecutableSearch.find(
            named: configuration.executable,
            environment: ProcessInfo.processInfo.environment
        )
        let files = try ServerFiles(configuration)
        do {
            let launcher = ServerLauncher(configuration: configuration, executable: executable, files: files)
            let version = try await launcher.version()
            let running = try await launcher.launch(
                port: configuration.port,
                version: version,
                extra: configuration.extraConfiguration
            )
            return LocalNATSServer(launcher: launcher, version: version, running: running)
        } catch {
            files.remove()
            throw error
        }
    }

    /// Where clients on this machine connect, for example `nats://127.0.0.1:4222`.
    public var url: String {
        let host = ["0.0.0.0": "127.0.0.1", "::": "::1"][configuration.host] ?? configuration.host
        return "\(configuration.requiresTLS ? "tls" : "nats")://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }

    /// The process id of the server; `nil` when it does not run. A restart changes it.
    public var pid: Int32? { process.pid }

    /// Whether the server's process runs, a suspended one included.
    public var isRunning: Bool { pid != nil }

    /// Waits until the present process of the server has ended, and says why it did.
    ///
    /// - Throws: `CancellationError` when the calling task is cancelled first.
    public var termination: Termination {
        get async throws {
            let running = state.withLock { $0.running }
            let end = try await running.process.waitForEnd()
            let requested = state.withLock { $0.running.process !== running.process || $0.endRequested }
            return Termination(
                reason: Termination.Reason(end),
                wasRequested: requested,
                lastLines: launcher.files.lastLogLines(from: running.logOffset)
            )
        }
    }

    /// Stops the server: asks it to end, and kills it when it has not ended within the grace period. Removes a
    /// temporary store. Returns when the process has ended; further calls do nothing.
    public func stop() async {
        state.withLock { $0.stopped = true }
        await endPresentProcess()
        launcher.files.remove()
    }

    /// Kills the server with `SIGKILL`, as a crash would end it, and waits until it has ended. `restart` starts it again.
    public func kill() async {
        let process = requestEnd()
        process.signal(SIGKILL)
        await Self.waitForEnd(of: process)
    }

    /// Halts the server with `SIGSTOP`: its connections stay open, and it answers nothing.
    public func suspend() { process.signal(SIGSTOP) }

    /// Lets a suspended server go on.
    public func resume() { process.signal(SIGCONT) }

    /// Replaces ``Configuration/extraConfiguration`` and has the running server read it (`SIGHUP`). Users and
    /// permissions change for connected clients too, a moment after this returns.
    ///
    /// - Throws: `LocalNATSServerError` when the file cannot be written; the server goes on as it was.
    public func reconfigure(_ extraConfiguration: String) throws(LocalNATSServerError) {
        try launcher.writeConfiguration(port: port, version: serverVersion, extra: extraConfiguration)
        state.withLock { $0.extraConfiguration = extraConfiguration }
        process.signal(SIGHUP)
    }

    /// Ends the server, when it runs, and starts it again on the same port with the same store.
    ///
    /// - Throws: `LocalNATSServerError`, with the code `stopped` after `stop`; or `CancellationError`.
    public func restart() async throws {
        await endPresentProcess()
        let stopped = LocalNATSServerError(.stopped, "This server was stopped; start a new one instead.")
        guard !state.withLock({ $0.stopped }) else { throw stopped }
        let extra = state.withLock { $0.extraConfiguration }
        let running = try await launcher.launch(port: port, version: serverVersion, extra: extra)
        let stoppedMeanwhile = state.withLock { state in
            state.running = running
            state.endRequested = state.stopped
            return state.stopped
        }
        if stoppedMeanwhile {
            await endPresentProcess()
            launcher.files.remove()
            throw stopped
        }
    }

    private var process: GuardedProcess { state.withLock { $0.running.process } }

    private func requestEnd() -> GuardedProcess {
        state.withLock { state in
            // A process that has ended by itself keeps its own reason.
            if state.running.process.reason == nil { state.endRequested = true }
            return state.running.process
        }
    }

    private func endPresentProcess() async {
        let process = requestEnd()
        process.signal(SIGTERM)
        // A suspended process receives the signal only when it goes on.
        process.signal(SIGCONT)
        let grace = configuration.stopGracePeriod
        // In a separate task, so that cancelling the caller does not shorten the wait: the files that are removed next
        // must not be in use.
        let ended = await Task { try? await process.waitForEnd(atMost: grace) }.value
        guard ended == nil else { return }
        process.signal(SIGKILL)
        await Self.waitForEnd(of: process)
    }

    private static func waitForEnd(of process: GuardedProcess) async {
        await Task { _ = try? await process.waitForEnd() }.value
    }
}
