import Dispatch
import ProcessGuard

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif
#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Starts a server process and waits until it accepts clients.
struct ServerLauncher: Sendable {
    /// A server that accepts clients.
    struct Running: Sendable {
        let process: SupervisedProcess
        let port: Int
        /// The offset in the log file at which its log begins.
        let logOffset: Int
    }

    let configuration: LocalNATSServer.Configuration
    let executable: String
    let files: ServerFiles

    /// Asks the executable for its version.
    func version() async throws -> ServerVersion {
        let offset = files.logSize
        let process = try await launch(["--version"], logOffset: offset)
        defer { process.kill() }
        guard let reason = try await process.waitForEndUnlessCancelled(atMost: configuration.startTimeout) else {
            throw timeout("the answer to --version", from: offset)
        }
        let lines = files.lastLogLines(from: offset)
        guard reason == .exited(code: 0), let version = ServerVersion(in: lines.joined(separator: " ")) else {
            throw exited(reason, port: nil, from: offset)
        }
        return version
    }

    /// Starts the server.
    ///
    /// - Parameter port: `nil` has the server pick a free one.
    /// - Throws: `LocalNATSServerError`, or `CancellationError`; no process is left then.
    func launch(port: Int?, version: ServerVersion, extra: String) async throws -> Running {
        files.removePortsFiles()
        try writeConfiguration(port: port, version: version, extra: extra)
        let offset = files.logSize
        let process = try await launch(["-c", files.configuration], logOffset: offset)
        do {
            let port = try await waitUntilReady(process, port: port, extra: extra, logOffset: offset)
            return Running(process: process, port: port, logOffset: offset)
        } catch {
            process.kill()
            // Not cancellable: the files are removed next, and no process may still write to them.
            _ = await process.waitForEnd()
            throw error
        }
    }

    private func launch(_ arguments: [String], logOffset: Int) async throws(LocalNATSServerError) -> SupervisedProcess {
        let command = SupervisedProcess.Command(
            executable: executable,
            arguments: arguments,
            environment: ProcessInfo.processInfo.environment
        )
        do throws(LaunchError) {
            return try await .launch(
                command,
                appendingTo: files.log,
                removing: files.directory,
                patience: configuration.startTimeout
            )
        } catch {
            throw exited(.notLaunched(error.description), port: nil, from: logOffset)
        }
    }

    /// Writes the configuration file; a running server reads it when it gets `SIGHUP`.
    func writeConfiguration(port: Int?, version: ServerVersion, extra: String) throws(LocalNATSServerError) {
        var configuration = configuration
        configuration.extraConfiguration = extra
        try files.writeConfiguration(
            ConfigurationFile(
                configuration: configuration,
                port: port,
                version: version,
                storeDirectory: files.store,
                portsDirectory: files.directory
            ).text
        )
    }

    /// Waits for the ports file, then for the greeting on that port. Only this server's process writes the ports file;
    /// on a port that is taken, another server may answer.
    private func waitUntilReady(
        _ process: SupervisedProcess,
        port: Int?,
        extra: String,
        logOffset: Int
    ) async throws -> Int {
        let deadline = ContinuousClock.now + configuration.startTimeout
        var waitingFor = "its ports file"
        while ContinuousClock.now < deadline {
            if let reason = process.end { throw exited(reason, port: port, from: logOffset) }
            if let listening = clientPort() {
                // A server with `handshake_first` sends nothing before TLS.
                if extra.contains("handshake_first") { return listening }
                waitingFor = "its INFO line on port \(listening)"
                if let greeting = await ServerGreeting.read(host: configuration.host, port: listening) {
                    if !configuration.jetStream || greeting.jetstream == true { return listening }
                    waitingFor = "JetStream"
                }
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw timeout(waitingFor, from: logOffset)
    }

    /// The port on which the server says it accepts clients.
    private func clientPort() -> Int? {
        struct Ports: Decodable {
            var nats: [String]
        }
        for file in files.portsFiles() {
            guard let data = FileManager.default.contents(atPath: file),
                let ports = try? JSONDecoder().decode(Ports.self, from: data),
                let port = ports.nats.first?.split(separator: ":").last.flatMap({ Int($0) })
            else { continue }
            return port
        }
        return nil
    }

    private func exited(_ end: ProcessEnd, port: Int?, from offset: Int) -> LocalNATSServerError {
        let lines = files.lastLogLines(from: offset)
        return .exitedAtStart(
            LocalNATSServer.Termination(reason: .init(end), wasRequested: false, lastLines: lines),
            configuration: configuration,
            port: port
        )
    }

    private func timeout(_ what: String, from offset: Int) -> LocalNATSServerError {
        .startTimeout(
            after: configuration.startTimeout,
            waitingFor: what,
            lastLines: files.lastLogLines(from: offset)
        )
    }
}

/// The INFO line with which a server greets every client.
private struct ServerGreeting: Decodable, Sendable {
    var version: String
    var jetstream: Bool?

    /// Connects and reads the greeting, in at most a quarter of a second.
    ///
    /// - Returns: `nil` when there is none (yet).
    static func read(host: String, port: Int) async -> ServerGreeting? {
        await withCheckedContinuation { continuation in
            // The socket calls block, and must not block the threads of Swift's tasks.
            DispatchQueue.global().async {
                continuation.resume(returning: line(host: host, port: port).flatMap(parse))
            }
        }
    }

    static func parse(_ line: String) -> ServerGreeting? {
        guard line.hasPrefix("INFO ") else { return nil }
        return try? JSONDecoder().decode(ServerGreeting.self, from: Data(line.dropFirst(5).utf8))
    }

    private static func line(host: String, port: Int) -> String? {
        var hints = addrinfo()
        #if canImport(Glibc)
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        #else
            hints.ai_socktype = SOCK_STREAM
        #endif
        var found: UnsafeMutablePointer<addrinfo>?
        // A server that listens on all addresses listens on loopback too.
        let name = host == "0.0.0.0" ? "127.0.0.1" : host == "::" ? "::1" : host
        guard getaddrinfo(name, String(port), &hints, &found) == 0, let address = found?.pointee else { return nil }
        defer { freeaddrinfo(found) }

        let socket = socket(address.ai_family, address.ai_socktype, address.ai_protocol)
        guard socket >= 0 else { return nil }
        defer { close(socket) }
        _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
        var limit = timeval(tv_sec: 0, tv_usec: 250_000)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(socket, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        guard connect(socket, address.ai_addr, address.ai_addrlen) == 0 else { return nil }

        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while !bytes.contains(UInt8(ascii: "\n")), bytes.count < 65_536 {
            let count = recv(socket, &chunk, chunk.count, 0)
            guard count > 0 else { return nil }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }
}
