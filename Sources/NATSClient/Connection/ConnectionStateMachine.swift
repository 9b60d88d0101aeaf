/// What a connection does next, as a pure value: events go in, actions come out; no clock, no socket.
struct ConnectionStateMachine {
    enum Action: Equatable {
        /// Open a TCP connection (and with TLS-first, shake hands at once).
        case connect(ServerAddress, attempt: Int)
        /// Wait, then call `waitElapsed`.
        case wait(Duration)
        /// Start TLS on the open channel.
        case startTLS
        /// Send `CONNECT` and `PING`.
        case login
        /// The handshake is done: restore subscriptions, send what waits.
        case ready(isReconnect: Bool)
        /// Tear the current channel down.
        case closeChannel
        /// An attempt failed, another follows.
        case attemptFailed(ServerAddress)
        /// The established connection was lost.
        case lost
        /// The connection never came up, or was closed: nothing follows.
        case end
    }

    enum Stage { case tcp, tlsFirst, info, tls, login }

    enum State {
        case idle
        case waiting
        case connecting(ServerAddress, Stage)
        case connected(ServerAddress)
        case closed
    }

    private(set) var state = State.idle
    private(set) var pool: ServerPool
    /// Counts attempts; events of an older attempt's channel are ignored by the caller.
    private(set) var attempt = 0
    private(set) var lastError: NATSError?
    private var hasBeenConnected = false
    private var pass = 0
    private var triedInPass = 0
    private let delay: ReconnectDelay
    private let retriesInitially: Bool
    private let maximumPasses: Int?
    private let tlsFirst: Bool
    private let tlsRequired: Bool

    init(
        servers: [ServerAddress],
        delay: ReconnectDelay,
        retriesInitially: Bool,
        maximumPasses: Int?,
        tlsFirst: Bool,
        tlsRequired: Bool
    ) {
        pool = ServerPool(servers)
        self.delay = delay
        self.retriesInitially = retriesInitially
        self.maximumPasses = maximumPasses
        self.tlsFirst = tlsFirst
        self.tlsRequired = tlsRequired
    }

    var isConnected: Bool {
        if case .connected = state { true } else { false }
    }

    /// Whether the handshake that follows `INFO` is under way.
    var isStartingTLS: Bool {
        if case .connecting(_, .tls) = state { true } else { false }
    }

    var isClosed: Bool {
        if case .closed = state { true } else { false }
    }

    /// The server of the current attempt or connection.
    var server: ServerAddress? {
        switch state {
        case .connecting(let server, _), .connected(let server): server
        case .idle, .waiting, .closed: nil
        }
    }

    mutating func start() -> [Action] {
        guard case .idle = state else { return [] }
        return [connectNext()]
    }

    mutating func waitElapsed() -> [Action] {
        guard case .waiting = state else { return [] }
        return [connectNext()]
    }

    mutating func tcpConnected() -> [Action] {
        guard case .connecting(let server, .tcp) = state else { return [] }
        // A WebSocket comes with its TLS.
        let startsTLS = tlsFirst && !server.usesWebSocket
        state = .connecting(server, startsTLS ? .tlsFirst : .info)
        return startsTLS ? [.startTLS] : []
    }

    mutating func tlsEstablished() -> [Action] {
        switch state {
        case .connecting(let server, .tlsFirst):
            state = .connecting(server, .info)
            return []
        case .connecting(let server, .tls):
            state = .connecting(server, .login)
            return [.login]
        default: return []
        }
    }

    /// An `INFO` line, the first or a later one.
    mutating func infoReceived(_ info: ServerInfo) -> [Action] {
        switch state {
        case .connecting(let server, .info):
            pool.update(announced: info.clusterAddresses, by: server)
            guard !tlsFirst, !server.usesWebSocket, tlsRequired || server.usesTLS || info.requiresTLS else {
                state = .connecting(server, .login)
                return [.login]
            }
            guard info.requiresTLS || info.offersTLS else {
                return failed(NATSError(.tlsFailed, "\(server) does not offer TLS; use nats:// or configure its TLS"))
            }
            state = .connecting(server, .tls)
            return [.startTLS]
        case .connected(let server):
            pool.update(announced: info.clusterAddresses, by: server)
            return []
        default: return []
        }
    }

    /// The `PONG` that answers the login.
    mutating func loginAnswered() -> [Action] {
        guard case .connecting(let server, .login) = state else { return [] }
        state = .connected(server)
        pass = 0
        triedInPass = 0
        lastError = nil
        defer { hasBeenConnected = true }
        return [.ready(isReconnect: hasBeenConnected)]
    }

    /// The current attempt failed, or the connection was lost.
    mutating func failed(_ error: NATSError) -> [Action] {
        switch state {
        case .idle, .waiting, .closed:
            return []
        case .connecting(let server, _):
            lastError = error
            var actions: [Action] = [.closeChannel]
            // Wrong credentials do not get better by trying again before anything ever worked.
            let isFinal = error.code == .authenticationFailed && !hasBeenConnected && triedInPass >= pool.count
            let passDone = triedInPass >= pool.count
            if passDone,
                isFinal || (!hasBeenConnected && !retriesInitially) || maximumPasses.map({ pass + 1 >= $0 }) == true
            {
                state = .closed
                return actions + [.end]
            }
            actions.append(.attemptFailed(server))
            guard passDone else { return actions + [connectNext()] }
            pass += 1
            triedInPass = 0
            return actions + [wait()]
        case .connected:
            lastError = error
            pass = 0
            triedInPass = 0
            return [.closeChannel, .lost, wait()]
        }
    }

    mutating func close() -> [Action] {
        switch state {
        case .closed: return []
        case .idle, .waiting:
            state = .closed
            return [.end]
        case .connecting, .connected:
            state = .closed
            return [.closeChannel, .end]
        }
    }

    private mutating func connectNext() -> Action {
        let server = pool.next()
        attempt += 1
        triedInPass += 1
        state = .connecting(server, .tcp)
        return .connect(server, attempt: attempt)
    }

    private mutating func wait() -> Action {
        state = .waiting
        return .wait(delay.delay(beforePass: pass, random: .random(in: 0..<1)))
    }
}
