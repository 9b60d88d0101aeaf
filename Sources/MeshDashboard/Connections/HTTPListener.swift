import Hummingbird
import HummingbirdCore
import Logging
import MeshConcurrency
import MeshEvents
import NIOCore

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Listens on an address and answers requests by a router, within limits for connections. The page and the metrics both do
/// it this way.
final class HTTPListener: Sendable {
    /// How long connections may take to end before they are closed.
    private static let grace: TimeAmount = .seconds(2)

    /// What listens, for errors: `the dashboard`.
    private let what: String
    private let host: String
    private let port: Int
    /// The open connections.
    let connections: ConnectionTable
    /// Is told when connections cannot be accepted.
    private let say: @Sendable (String) -> Void
    private let times: ConnectionTimer.Limits
    /// What TLS is spoken with; `nil` for HTTP without it.
    private let certificate: ServerCertificate?
    private let logger: Logger
    private let address = Locked<String?>(nil)
    private let listening = OneTimeSignal()

    /// - Parameters:
    ///   - what: what listens, for errors.
    ///   - host: the address to listen on.
    ///   - port: the port; 0 for a free one.
    ///   - needs: what the process needs its file descriptors for beside connections.
    ///   - times: how long each phase of a connection may take.
    ///   - certificate: what TLS is spoken with; `nil` for HTTP without it.
    ///   - logger: logs errors.
    init(
        _ what: String,
        host: String,
        port: Int,
        needs: DescriptorNeeds,
        times: ConnectionTimer.Limits = .init(),
        certificate: ServerCertificate?,
        logger: Logger
    ) {
        connections = ConnectionTable { needs.isScarce() }
        say = needs.say ?? { logger.warning("\($0)") }
        self.what = what
        self.host = host
        self.port = port
        self.times = times
        self.certificate = certificate
        self.logger = logger
    }

    /// The host as written in a URL.
    private static func inURL(_ host: String) -> String {
        host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
    }

    /// Whether only this machine reaches the address.
    static func isLoopback(_ host: String) -> Bool { HostPort(inURL(host))?.isLoopback == true }

    /// Waits until it listens.
    ///
    /// - Returns: Its URL, e.g. `http://127.0.0.1:8080/`.
    /// - Throws: `timeout`.
    func url(timeout: Duration) async throws(MeshEventsError) -> String {
        try await listening.wait(until: .now + timeout, for: "\(what) to listen")
        return address.withLock { $0 } ?? ""
    }

    /// Answers until the task is cancelled or the service is shut down gracefully; for one call.
    ///
    /// - Throws: `invalidArgument` when it cannot listen on that address.
    func serve(_ router: Router<DashboardContext>) async throws {
        let application = Application(
            router: router,
            server: HTTPServerBuilder { [connections, times, certificate] responder in
                LimitedHTTP1Channel(
                    responder: responder,
                    connections: connections,
                    times: times,
                    certificate: certificate
                )
            },
            configuration: .init(address: .hostname(host, port: port)),
            onServerRunning: { [what, connections, say] channel in
                // It fails for a channel that is closed already.
                try? await channel.eventLoop.submit {
                    let gate = AcceptGate(what, connections, say: say)
                    try channel.pipeline.syncOperations.addHandler(gate, position: .first)
                    try channel.syncOptions?.setOption(.maxMessagesPerRead, value: 1)
                }.get()
                let port = channel.localAddress?.port ?? self.port
                let scheme = self.certificate == nil ? "http" : "https"
                self.address.withLock { $0 = "\(scheme)://\(Self.inURL(self.host)):\(port)/" }
                self.listening.send()
            },
            logger: logger
        )
        do {
            // A client that does not read, or is in the middle of a request, would keep the server from ending.
            try await withTaskCancellationHandler {
                try await application.run()
            } onCancel: {
                end()
            }
        } catch let error as IOError {
            throw MeshEventsError(
                .invalidArgument,
                "\(what) cannot listen on \(Self.inURL(host)):\(port) (\(error.reasonText)); choose another address",
                underlying: error
            )
        }
    }

    /// Closes every connection soon, and each new one at once.
    func end() { connections.end(within: Self.grace) }
}

extension IOError {
    fileprivate var reasonText: String { String(cString: strerror(errnoCode)) }
}
