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
        let process = state.withLock { $0.running.process }
        if !process.abandon() { launcher.files.remove() }
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
    public var pid: Int32? {
        let process = process
        return process.end == nil ? process.pid : nil
    }

    /// Whether the server's process runs, a suspended one included.
    public var isRunning: Bool { pid != nil }

    /// Waits until the present process of the server has ended, and says why it did.
    ///
    /// - Throws: `CancellationError` when the calling task is cancelled first.
    public var termination: Termination {
        get async throws {
            let running = state.withLock { $0.running }
            let end = try await running.process.waitForEndUnlessCancelled()
            let requested = state.withLock { $0.running.process !== running.process || $0.endRequested }
            return Termination(
                reason: Termination.Reason(end),
                wasRequested: requested,
                lastLines: launcher.files.lastLogLines(from: running.logOffset)
            )
        }
    }

    /// The executable that ``start(_:)`` would run: that of `MESH_EVENTS_NATS_SERVER`, else the first in `PATH` and the usual
    /// directories.
    ///
    /// - Returns: its path; `nil` when none is installed.
    public static func installedExecutable() -> String? {
        try? ExecutableSearch.find(named: nil, environment: ProcessInfo.processInfo.environment)
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
        process.kill()
        _ = await process.waitForEnd()
    }

    /// Halts the server with `SIGSTOP`: its connections stay open, and it answers nothing.
    public func suspend() { process.signalProgram(SIGSTOP) }

    /// Lets a suspended server go on.
    public func resume() { process.signalProgram(SIGCONT) }

    /// Replaces ``Configuration/extraConfiguration`` and has the running server read it (`SIGHUP`). Users and
    /// permissions change for connected clients too, a moment after this returns.
    ///
    /// - Throws: `LocalNATSServerError` when the file cannot be written; the server goes on as it was.
    public func reconfigure(_ extraConfiguration: String) throws(LocalNATSServerError) {
        try launcher.writeConfiguration(port: port, version: serverVersion, extra: extraConfiguration)
        state.withLock { $0.extraConfiguration = extraConfiguration }
        process.signalProgram(SIGHUP)
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

    private var process: SupervisedProcess { state.withLock { $0.running.process } }

    private func requestEnd() -> SupervisedProcess {
        state.withLock { state in
            // A process that has ended by itself keeps its own reason.
            if state.running.process.end == nil { state.endRequested = true }
            return state.running.process
        }
    }

    private func endPresentProcess() async {
        _ = await requestEnd().stop(grace: configuration.stopGracePeriod)
    }
}

extension LocalNATSServer {
    /// How to run the server. The defaults are a private server for one process: loopback, a free port, JetStream
    /// with a store that is removed when the server is stopped.
    public struct Configuration: Sendable {
        /// Path of the `nats-server` executable.
        ///
        /// `nil`: the one that the environment variable `MESH_EVENTS_NATS_SERVER` names, else the first in `PATH`,
        /// `/usr/sbin`, `/usr/local/sbin`, `/usr/local/bin` and `/opt/homebrew/bin`.
        public var executable: String?

        /// The address to listen on: an IP address or a host name of this machine.
        public var host: String

        /// The port to listen on, 1 to 65535; `nil`: a free one that the server picks itself, so that no other
        /// process can take it in between. A restart keeps it.
        public var port: Int?

        /// The server's name, which has to be unique within a cluster; `nil`: the server makes one up.
        public var serverName: String?

        /// Whether streams are available.
        public var jetStream: Bool

        /// Where streams are kept; created when missing. Two servers must not share one.
        /// `nil`: a temporary directory, removed when the server is stopped or this process ends.
        public var storeDirectory: String?

        /// Whether the server writes each message to the disk before it acknowledges it, when it can do that (from
        /// 2.10): the default. Otherwise the server writes at once but syncs every two minutes: a killed server loses
        /// nothing, a power cut up to two minutes of messages.
        public var syncsEachWrite: Bool

        /// The largest payload a client may publish, in bytes; `nil`: the server's default of 1 MiB.
        public var maxPayload: Int?

        /// How many deliveries of a consumer may be without an answer, 1 or more; a consumer that asks for more is refused.
        /// `nil`: as many as it asks for.
        public var maximumAcknowledgementsPending: Int?

        /// A file to which the server's log is appended, readable by its owner only when it is new. It is not
        /// rotated. `nil`: the log goes with the server's temporary files.
        public var logFile: String?

        /// Further lines of the server's configuration file, for example an `authorization`, `tls` or `cluster` block.
        public var extraConfiguration: String

        /// Whether ``extraConfiguration`` asks for TLS: then ``LocalNATSServer/url`` begins with `tls://`.
        public var requiresTLS: Bool

        /// How long the server may take to accept clients before `start` gives up.
        public var startTimeout: Duration

        /// How long the server may take to end after a SIGTERM before it is killed.
        public var stopGracePeriod: Duration

        /// Creates a configuration; see the properties for what each value means.
        public init(
            executable: String? = nil,
            host: String = "127.0.0.1",
            port: Int? = nil,
            serverName: String? = nil,
            jetStream: Bool = true,
            storeDirectory: String? = nil,
            syncsEachWrite: Bool = true,
            maxPayload: Int? = nil,
            logFile: String? = nil,
            extraConfiguration: String = "",
            maximumAcknowledgementsPending: Int? = nil,
            requiresTLS: Bool = false,
            startTimeout: Duration = .seconds(10),
            stopGracePeriod: Duration = .seconds(5)
        ) {
            self.executable = executable
            self.host = host
            self.port = port
            self.serverName = serverName
            self.jetStream = jetStream
            self.storeDirectory = storeDirectory
            self.syncsEachWrite = syncsEachWrite
            self.maxPayload = maxPayload
            self.maximumAcknowledgementsPending = maximumAcknowledgementsPending
            self.logFile = logFile
            self.extraConfiguration = extraConfiguration
            self.requiresTLS = requiresTLS
            self.startTimeout = startTimeout
            self.stopGracePeriod = stopGracePeriod
        }
    }
}

extension LocalNATSServer {
    /// How and why a server's process ended.
    public struct Termination: Sendable, CustomStringConvertible {
        /// How a process ended.
        public enum Reason: Sendable, Hashable, CustomStringConvertible {
            /// It exited by itself with this code.
            case exited(code: Int32)
            /// This signal ended it.
            case signaled(Int32)
            /// It never ran, for the reason given.
            case notLaunched(String)

            init(_ end: ProcessEnd) {
                self =
                    switch end {
                    case .exited(let code): .exited(code: code)
                    case .signaled(let signal): .signaled(signal)
                    case .notLaunched(let why): .notLaunched(why)
                    }
            }

            /// For example `exited with code 1`.
            public var description: String {
                switch self {
                case .exited(let code): "exited with code \(code)"
                case .signaled(let signal): "was ended by signal \(signal)"
                case .notLaunched(let why): "could not be launched (\(why))"
                }
            }
        }

        /// How it ended.
        public let reason: Reason
        /// Whether the caller asked for it, with `stop`, `restart` or `kill`.
        public let wasRequested: Bool
        /// The last lines of its log, at most 20, oldest first.
        public let lastLines: [String]

        /// The errors among the last lines, or the last line, without time stamps.
        var lastWords: String { Self.lastWords(of: lastLines) }

        static func lastWords(of lines: [String]) -> String {
            let errors = lines.filter { $0.contains("[FTL]") || $0.contains("[ERR]") }
            return (errors.isEmpty ? lines.suffix(3) : errors[...]).map(withoutPrefix).joined(separator: " ")
        }

        /// `[7] 2026/01/31 10:56:51.02 [FTL] text` without all that comes before the text.
        private static func withoutPrefix(_ line: String) -> String {
            for level in ["[FTL] ", "[ERR] ", "[INF] ", "[WRN] "] {
                if let range = line.firstRange(of: level) { return String(line[range.upperBound...]) }
            }
            return line
        }

        /// For example `nats-server exited with code 1: JetStream failed`.
        public var description: String {
            lastWords.isEmpty || wasRequested
                ? "nats-server \(reason)" : "nats-server \(reason). It said: \(lastWords)"
        }
    }
}
