/// Decides what a connection does next, as a pure value: events go in, actions come out; no clock, no socket.
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
    /// Whether the bytes of the current attempt are encrypted, by a server that has proved who it is.
    private var isEncrypted = false
    /// The addresses the server announced before it accepted the login; `nil` when it announced none, or only before
    /// TLS.
    private var announced: [String]?
    private var hasBeenConnected = false
    private var pass = 0
    private var triedInPass = 0
    /// How many waits there were since a connection last lasted. A server that accepts a login and drops the connection
    /// at once must not get the shortest delay every time.
    private var waits = 0
    private let delay: ReconnectDelay
    private let retriesInitially: Bool
    private let maximumPasses: Int?
    private let tlsFirst: Bool
    private let tlsRequired: Bool

    /// - Parameters:
    ///   - randomizes: whether the servers are tried in random order.
    ///   - takesAnnounced: whether servers are tried that the cluster announces.
    init(
        servers: [ServerAddress],
        randomizes: Bool = false,
        takesAnnounced: Bool = true,
        delay: ReconnectDelay,
        retriesInitially: Bool,
        maximumPasses: Int?,
        tlsFirst: Bool,
        tlsRequired: Bool
    ) {
        pool = ServerPool(servers, randomizes: randomizes, takesAnnounced: takesAnnounced)
        self.delay = delay
        self.retriesInitially = retriesInitially
        self.maximumPasses = maximumPasses
        self.tlsFirst = tlsFirst
        self.tlsRequired = tlsRequired
    }

    var isConnected: Bool {
        if case .connected = state { true } else { false }
    }

    /// Whether `CONNECT` has been sent and not been answered yet.
    var isLoggingIn: Bool {
        if case .connecting(_, .login) = state { true } else { false }
    }

    /// Whether TLS is wanted and has not begun yet: until then, any party on the way may have written what comes.
    var isUnprotected: Bool { server.map { wantsTLS($0) && !isEncrypted } ?? false }

    /// Whether the TLS handshake is under way, before `INFO` or after it.
    var isStartingTLS: Bool {
        switch state {
        case .connecting(_, .tls), .connecting(_, .tlsFirst): true
        default: false
        }
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
        // A WebSocket's channel already has its TLS.
        let startsTLS = tlsFirst && !server.usesWebSocket
        isEncrypted = server.usesWebSocket && server.usesTLS
        state = .connecting(server, startsTLS ? .tlsFirst : .info)
        return startsTLS ? [.startTLS] : []
    }

    mutating func tlsEstablished() -> [Action] {
        isEncrypted = true
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

    /// Takes an `INFO` line, the first or a later one.
    ///
    /// The client sends its login to announced servers later. So they count only after this server has accepted the
    /// login, and only when it announced them on the connection in its present form: any party on the way may have
    /// written an `INFO` that came before TLS.
    mutating func infoReceived(_ info: ServerInfo) -> [Action] {
        switch state {
        case .connecting(let server, .info):
            guard isEncrypted || !server.usesWebSocket || !tlsRequired else {
                return failed(NATSError(.tlsFailed, "\(server) has no TLS, which is configured; use wss://"))
            }
            guard !isEncrypted, !server.usesWebSocket, wantsTLS(server) || info.requiresTLS else {
                announced = info.clusterAddresses
                state = .connecting(server, .login)
                return [.login]
            }
            guard info.requiresTLS || info.offersTLS else {
                return failed(NATSError(.tlsFailed, "\(server) does not offer TLS; use nats:// or configure its TLS"))
            }
            state = .connecting(server, .tls)
            return [.startTLS]
        case .connecting(_, .login):
            announced = info.clusterAddresses
            return []
        case .connected(let server):
            pool.update(announced: info.clusterAddresses, by: server)
            return []
        default: return []
        }
    }

    /// Takes the `PONG` that answers the login.
    mutating func loginAnswered() -> [Action] {
        guard case .connecting(let server, .login) = state else { return [] }
        state = .connected(server)
        if let announced { pool.update(announced: announced, by: server) }
        pass = 0
        triedInPass = 0
        lastError = nil
        defer { hasBeenConnected = true }
        return [.ready(isReconnect: hasBeenConnected)]
    }

    /// Notes that the current attempt failed, or that the connection was lost.
    ///
    /// - Parameter uptime: how long the connection was up.
    mutating func failed(_ error: NATSError, uptime: Duration = .zero) -> [Action] {
        switch state {
        case .idle, .waiting, .closed:
            return []
        case .connecting(let server, _):
            lastError = error
            var actions: [Action] = [.closeChannel]
            let passDone = triedInPass >= pool.count
            // Before the first success, trying wrong credentials again does not help. A callback may answer later.
            let isWrong = error.code == .authenticationFailed && !error.isRetriable
            let isFinal = !hasBeenConnected && (isWrong || !retriesInitially)
            if passDone, isFinal || maximumPasses.map({ pass + 1 >= $0 }) == true {
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
            waits = delay.waits(waits, afterUptime: uptime)
            return [.closeChannel, .lost, wait()]
        }
    }

    mutating func close() -> [Action] {
        if case .closed = state { return [] }
        // The caller closes on purpose, so an earlier error is no reason.
        lastError = nil
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

    private func wantsTLS(_ server: ServerAddress) -> Bool { tlsRequired || server.usesTLS }

    private mutating func connectNext() -> Action {
        let server = pool.next()
        isEncrypted = false
        announced = nil
        attempt += 1
        triedInPass += 1
        state = .connecting(server, .tcp)
        return .connect(server, attempt: attempt)
    }

    private mutating func wait() -> Action {
        state = .waiting
        defer { waits += 1 }
        return .wait(delay.delay(beforePass: waits, random: .random(in: 0..<1)))
    }
}

/// The servers that a connection may use: those it was given and those the cluster announces, tried in turn.
struct ServerPool {
    private var given: [ServerAddress]
    private var announced: [ServerAddress] = []
    private var position = 0
    private let randomizes: Bool
    private let takesAnnounced: Bool

    /// `servers` is not empty.
    init(_ servers: [ServerAddress], randomizes: Bool = false, takesAnnounced: Bool = true) {
        given = randomizes ? servers.shuffled() : servers
        self.randomizes = randomizes
        self.takesAnnounced = takesAnnounced
    }

    /// How many servers a pass over the pool tries.
    var count: Int { given.count + announced.count }

    var all: [ServerAddress] { given + announced }

    /// The next server to try.
    mutating func next() -> ServerAddress {
        let server = all[position % count]
        position = (position + 1) % count
        return server
    }

    /// The most announced servers that are kept: one server must not fill the memory, nor keep the client from trying
    /// the others for long.
    static let maximumAnnounced = 256

    /// Takes over what a server announces, up to ``maximumAnnounced``. An address that is no longer announced is
    /// removed, a given one never.
    ///
    /// Those that are new go to random places among the announced ones, when the order is random.
    mutating func update(announced addresses: [String], by current: ServerAddress) {
        guard takesAnnounced else { return }
        let upcoming = all[position % count]
        var fresh: [ServerAddress] = []
        for text in addresses.prefix(Self.maximumAnnounced) {
            guard let address = current.announced(text), !contains(address, in: given), !contains(address, in: fresh)
            else { continue }
            fresh.append(address)
        }
        // The current server may be an announced one that its own announcement leaves out.
        if contains(current, in: announced), !contains(current, in: fresh) { fresh.append(current) }
        announced = randomizes ? merged(fresh) : fresh
        position = all.firstIndex(of: upcoming) ?? 0
    }

    /// The announced servers, with those that are known already in their order: a server announces the same ones again and
    /// again, and a pass must not meet one of them twice.
    private func merged(_ fresh: [ServerAddress]) -> [ServerAddress] {
        var merged = announced.filter { contains($0, in: fresh) }
        for address in fresh where !contains(address, in: announced) {
            merged.insert(address, at: .random(in: 0...merged.count))
        }
        return merged
    }

    private func contains(_ address: ServerAddress, in list: [ServerAddress]) -> Bool {
        list.contains { $0.host == address.host && $0.port == address.port }
    }
}
