import Foundation
import NIOCore
import NIOPosix
import NIOSSL

// Opening a channel, the handshake, and closing it.
extension ConnectionLoop {
    func start() -> EventLoopFuture<ServerInfo> {
        eventLoop.flatSubmit {
            let promise = self.eventLoop.makePromise(of: ServerInfo.self)
            self.started = promise
            self.perform(self.machine.start())
            return promise.futureResult
        }
    }

    func openChannel(to server: ServerAddress, attempt: Int) {
        parser = ProtocolParser()
        pongs = OwedPongs()
        isLameDuckReported = false
        readBuffer.clear()
        info = nil
        peerCertificate = nil
        attemptTimeout = eventLoop.scheduleTask(in: TimeAmount(configuration.connectTimeout)) {
            guard self.machine.attempt == attempt, !self.machine.isConnected else { return }
            let limit = self.configuration.connectTimeout
            self.fail(NATSError(.connectionFailed, "\(server) did not answer within \(limit)", isRetriable: true))
        }
        // The first attempt uses the context that was made before it.
        if attempt == 1, tlsContext != nil { return connect(to: server, attempt: attempt) }
        tlsContext = nil
        guard configuration.tls != nil || server.usesTLS else { return connect(to: server, attempt: attempt) }
        let tls = configuration.tls ?? NATSTLSConfiguration()
        // Not on the event loop: other connections may share it.
        NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) { try TLSHandlerFactory.context(tls) }
            .whenComplete { result in
                guard self.machine.attempt == attempt, case .connecting(_, .tcp) = self.machine.state else { return }
                switch result {
                case .success(let context):
                    self.tlsContext = context
                    self.connect(to: server, attempt: attempt)
                case .failure(let error):
                    let known = error as? NATSError
                    self.fail(known ?? NATSError(.tlsFailed, "TLS cannot be set up", underlying: error))
                }
            }
    }

    private func connect(to server: ServerAddress, attempt: Int) {
        let openings = WebSocketOpenings()
        bootstrap
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try self.prepare(channel, for: server, attempt: attempt, openings)
                }
            }
            .connect(host: server.host, port: server.port)
            .flatMap { channel in
                let opening = openings.byChannel[ObjectIdentifier(channel)]
                return (opening ?? channel.eventLoop.makeSucceededVoidFuture()).map { channel }
            }
            .whenComplete { self.connected($0, to: server, attempt: attempt) }
    }

    private var bootstrap: ClientBootstrap {
        ClientBootstrap(group: eventLoop)
            .connectTimeout(TimeAmount(configuration.connectTimeout))
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.maxMessagesPerRead, value: 4)
            .channelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 4096, initial: 65_536, maximum: 262_144)
            )
    }

    /// Adds the handlers that a channel needs. An attempt has several channels when the host has several addresses.
    private func prepare(
        _ channel: any Channel,
        for server: ServerAddress,
        attempt: Int,
        _ openings: WebSocketOpenings
    ) throws {
        guard server.usesWebSocket else {
            return try channel.pipeline.syncOperations.addHandler(ConnectionHandler(loop: self, attempt: attempt))
        }
        let upgrade = WebSocketUpgrade(server: server, headers: configuration.webSocketHeaders)
        let tls = try server.usesTLS ? makeTLSHandler(for: server) : nil
        openings.byChannel[ObjectIdentifier(channel)] = try upgrade.configure(channel, tls: tls) {
            ConnectionHandler(loop: self, attempt: attempt)
        }
        if let tls { try channel.pipeline.syncOperations.addHandler(makeWitness(), position: .after(tls)) }
    }

    private func connected(_ result: Result<any Channel, any Error>, to server: ServerAddress, attempt: Int) {
        switch result {
        case .success(let channel):
            guard machine.attempt == attempt, case .connecting(_, .tcp) = machine.state else {
                channel.close(promise: nil)
                return
            }
            self.channel = channel
            // Bytes that the system buffers look sent, and nothing can be put before them. So the buffer is limited,
            // where the system allows it.
            channel.setOption(.tcpOption(.init(rawValue: TCP_NOTSENT_LOWAT)), value: 128 << 10).whenComplete { _ in }
            perform(machine.tcpConnected())
            // INFO may have come before this callback.
            parse()
        case .failure(let error):
            guard machine.attempt == attempt else { return }
            if let known = error as? NATSError ?? tlsFailure(error) { return fail(known) }
            fail(
                NATSError(
                    .connectionFailed,
                    "cannot connect to \(server): \(Self.reason(of: error)); is nats-server running there?",
                    underlying: error,
                    isRetriable: true
                )
            )
        }
    }

    private static func reason(of error: any Error) -> String {
        switch error {
        case let failure as NIOConnectionError:
            if let last = failure.connectionErrors.last { return reason(of: last.error) }
            return "the host \(failure.host) is not known"
        case let failure as IOError: return String(cString: strerror(failure.errnoCode)).lowercased()
        case is ChannelError: return "no answer"
        case is SocketAddressError: return "the host is not known"
        default: return "\(error)"
        }
    }

    func startTLS() {
        guard let channel, let server = machine.server else { return }
        do {
            let tls = try makeTLSHandler(for: server)
            try channel.pipeline.syncOperations.addHandler(tls, position: .first)
            try channel.pipeline.syncOperations.addHandler(makeWitness(), position: .after(tls))
        } catch {
            fail(NATSError(.tlsFailed, "TLS with \(server) cannot be set up", underlying: error))
        }
    }

    private func makeTLSHandler(for server: ServerAddress) throws -> NIOSSLClientHandler {
        let context = try tlsContext ?? NIOSSLContext(configuration: .makeClientConfiguration())
        return try TLSHandlerFactory.make(context, server: server, configuration: configuration.tls)
    }

    private func makeWitness() -> TLSWitness {
        let attempt = machine.attempt
        return TLSWitness { certificate in
            guard self.machine.attempt == attempt else { return }
            self.peerCertificate = certificate
        }
    }

    func login() {
        guard let info, let server = machine.server, let channel else { return }
        do {
            let fields = try configuration.authentication.fields(for: server, nonce: info.nonce)
            let usesTLS = configuration.tls != nil || server.usesTLS || info.requiresTLS
            let command = ConnectCommand(name: configuration.name, tls: usesTLS, info: info, login: fields)
            var buffer = ByteBuffer(string: try command.line())
            CommandWriter.subscribe(into: &buffer, subject: inbox.subject, queueGroup: nil, sid: inbox.sid)
            buffer.writeStaticString("PING\r\n")
            inbox.failure = nil
            requests.block(nil)
            sharedReplies.block(nil)
            channel.writeAndFlush(buffer, promise: nil)
        } catch let error as NATSError {
            fail(error)
        } catch {
            fail(NATSError(.authenticationFailed, "the login cannot be written", underlying: error))
        }
    }

    /// Handles a channel that has closed by itself, or on which an error was caught.
    func channelClosed(attempt: Int, error: (any Error)?) {
        guard attempt == machine.attempt, !machine.isClosed else { return }
        let server = machine.server.map(String.init(describing:)) ?? "the server"
        if let error, let failure = tlsFailure(error) {
            fail(failure)
        } else if case .connecting(_, .login) = machine.state, usesClientTLS {
            // TLS 1.3 refuses a client certificate only after the handshake, by closing.
            let isGiven = configuration.tls?.certificateFile != nil
            let guess = isGiven ? "does it refuse this client's certificate?" : "does it want a client certificate?"
            fail(NATSError(.tlsFailed, "\(server) closed the connection after TLS; \(guess)"))
        } else {
            let cause = error.map { ": \($0)" } ?? ""
            fail(
                NATSError(
                    .connectionFailed,
                    "\(server) closed the connection\(cause)",
                    underlying: error,
                    isRetriable: true
                )
            )
        }
    }

    /// The error to report for an error of TLS; `nil` for any other.
    private func tlsFailure(_ error: any Error) -> NATSError? {
        let failure = TLSFailure(server: machine.server, configuration: configuration.tls, certificate: peerCertificate)
        return failure.sentence(for: error).map { sentence in
            NATSError(.tlsFailed, sentence, underlying: error, isRetriable: machine.isConnected)
        }
    }

    private var usesClientTLS: Bool { configuration.tls != nil || machine.server?.usesTLS == true }

    func closeChannel() {
        outbound.disconnected(unwritten: unwritten?.messages)
        unwritten = nil
        isWriting = false
        chunksTaken = 0
        keepAlive?.cancel()
        keepAlive = nil
        attemptTimeout?.cancel()
        let interrupted = pings.flatMap(\.waiters)
        pings = []
        subscribing = []
        refusals = []
        // Callers that wait for a flush go on waiting: the next connection answers, and reports what may be lost.
        pingWaiters.append(contentsOf: interrupted)
        // Their ping follows what waits.
        for index in pingWaiters.indices where pingWaiters[index].chunk > 0 { pingWaiters[index].chunk = 1 }
        finishBatch()
        let channel = channel
        self.channel = nil
        channel?.close(promise: nil)
    }
}

/// The WebSockets that one attempt opens, by their channels; touched on the event loop only.
private final class WebSocketOpenings: @unchecked Sendable {
    var byChannel: [ObjectIdentifier: EventLoopFuture<Void>] = [:]
}

extension TimeAmount {
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let bounded = max(-9_000_000_000, min(seconds, 9_000_000_000))
        self = .nanoseconds(bounded * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
