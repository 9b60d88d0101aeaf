public import NIOCore

extension NATSConnection {
    /// How to connect, and how to stay connected.
    public struct Configuration: Sendable {
        /// The servers to try, in turn; servers that the cluster announces are added, unless
        /// ``ignoresAnnouncedServers`` says no.
        public var servers: [ServerAddress]
        /// Whether the servers, and the addresses of a host with several, are tried in random order, so that clients
        /// spread over them. Default yes; otherwise the first server is the first choice.
        public var randomizesServers: Bool
        /// Whether the servers that a cluster announces are left out, for a client that reaches only those it was given.
        /// Default no.
        public var ignoresAnnouncedServers: Bool
        /// How to log in.
        public var authentication: NATSAuthentication
        /// How to speak TLS; `nil` uses TLS only when an address (`tls://`) or the server asks for it.
        public var tls: TLSConfiguration?
        /// The name servers show for this connection.
        public var name: String?
        /// How long the server may be silent while an attempt to connect is under way, login included. Default 5 s.
        ///
        /// Whatever comes begins the time anew: the TCP connection, an answer of a proxy, each byte of TLS, the greeting. So
        /// a link connects on which every round trip takes seconds, as long as none takes longer than this. An attempt ends
        /// after ten times as long in any case. A callback has as long once more.
        public var connectTimeout: Duration
        /// Whether the first connection, too, is tried until it succeeds. Default no: `connect` throws.
        public var retriesInitialConnect: Bool
        /// How many times all servers are tried, after a connection was lost, before the client gives up; `nil`, the
        /// default, for no limit.
        public var maximumReconnectPasses: Int?
        /// The waits between attempts.
        public var reconnectDelay: ReconnectDelay
        /// How often the server is pinged. Default 30 s.
        public var pingInterval: Duration
        /// How many intervals in a row may pass without a byte coming or going; after one more, the connection counts as
        /// lost. Default 2.
        public var maximumPingsOut: Int
        /// How many bytes may wait to be sent, connected or not, before publishing throws `bufferFull`. Default 8 MiB.
        public var maximumPendingBytes: Int
        /// Whether subscriptions of this connection get the messages that it publishes itself (`no_echo` otherwise).
        /// Default yes.
        public var receivesOwnMessages: Bool
        /// The first token or tokens of inboxes. `nil`, the default: `_INBOX`, and for an NKey login a second token,
        /// the first 16 characters of its public key. So a server's permissions can keep each user's answers from other
        /// users.
        public var inboxPrefix: String?
        /// What the subjects of JetStream's API begin with, for a ``JetStream`` without a domain or prefix:
        /// `$JS.hub.API` for the domain `hub`, or the prefix under which an account imports another's JetStream. `nil`,
        /// the default: `$JS.API`, the JetStream of the connected server.
        public var jetStreamPrefix: String?
        /// Further header fields of the request for a WebSocket (`ws://`, `wss://`), such as
        /// `["Authorization": "Bearer …"]` for a proxy. Never shown in errors or logs.
        public var webSocketHeaders: [String: String]
        /// Gives further header fields of the request for a WebSocket, asked at every attempt to connect; they replace
        /// ``webSocketHeaders`` of the same name. As for the callbacks of ``NATSAuthentication``, it has as long as
        /// ``connectTimeout``, and when it throws, the next attempt asks again.
        public var webSocketHeaderProvider: (@Sendable () async throws -> [String: String])?
        /// The SOCKS5 proxy that connections go through; `nil`, the default, for none.
        public var socksProxy: SOCKSProxy?
        /// Where the connection runs; `nil` for a thread shared by all connections of the process.
        public var eventLoopGroup: (any EventLoopGroup)?

        /// Creates a configuration with the defaults.
        public init(
            servers: [ServerAddress],
            authentication: NATSAuthentication = .none,
            tls: TLSConfiguration? = nil,
            name: String? = nil
        ) {
            self.servers = servers
            self.authentication = authentication
            self.tls = tls
            self.name = name
            randomizesServers = true
            ignoresAnnouncedServers = false
            connectTimeout = .seconds(5)
            retriesInitialConnect = false
            maximumReconnectPasses = nil
            reconnectDelay = ReconnectDelay()
            pingInterval = .seconds(30)
            maximumPingsOut = 2
            maximumPendingBytes = 8 << 20
            receivesOwnMessages = true
            inboxPrefix = nil
            jetStreamPrefix = nil
            webSocketHeaders = [:]
            webSocketHeaderProvider = nil
            socksProxy = nil
            eventLoopGroup = nil
        }
    }
}

/// How long to wait between passes over the servers. The wait doubles, with jitter, so that not all clients connect to
/// a returning server in the same moment.
///
/// The doubling begins anew after a connection that was up for at least ``maximum``. After one that was up for a second
/// or more, the wait is at most a quarter of that time: a link that is lost again and again is used most of the time. A
/// server that accepts a login and then drops the connection or refuses the user at once is tried less and less often.
public struct ReconnectDelay: Sendable, Hashable {
    /// The upper bound of the wait before the first attempt, and the base of the doubling. Default 100 ms.
    public var initial: Duration
    /// The longest wait, and how long a connection must be up for the doubling to begin anew. Default 10 s.
    public var maximum: Duration

    /// Creates a delay policy.
    public init(initial: Duration = .milliseconds(100), maximum: Duration = .seconds(10)) {
        self.initial = initial
        self.maximum = maximum
    }

    /// The wait number `pass`, from 0 since a connection was up for ``maximum``. It is a part of
    /// `min(maximum, initial × 2^pass)`, at least half of it after the first. `random` is in 0 ..< 1.
    func delay(beforePass pass: Int, random: Double) -> Duration {
        let bound = min(maximum, initial * (1 << min(pass, 20)))
        return pass == 0 ? bound * random : bound * (0.5 + random / 2)
    }

    /// How long a connection must have been up to count as useful.
    private static let useful: Duration = .seconds(1)

    /// How many waits count as made when a connection is lost. It was up for `uptime` and began after `made` waits.
    func waits(_ made: Int, afterUptime uptime: Duration) -> Int {
        guard uptime < maximum else { return 0 }
        guard uptime >= Self.useful else { return made }
        var count = 0
        while count < made, initial * (1 << min(count + 1, 20)) <= uptime / 4 { count += 1 }
        return count
    }
}
