public import NIOCore

extension NATSConnection {
    /// How to connect, and how to stay connected.
    public struct Configuration: Sendable {
        /// The servers to try, in turn; servers that the cluster announces are added automatically.
        public var servers: [ServerAddress]
        /// How to log in.
        public var authentication: NATSAuthentication
        /// How to speak TLS; `nil` uses TLS only when an address (`tls://`) or the server asks for it.
        public var tls: NATSTLSConfiguration?
        /// The name servers show for this connection.
        public var name: String?
        /// The longest an attempt may take, login included. Default 5 s.
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
        /// Where the connection runs; `nil` for a thread shared by all connections of the process.
        public var eventLoopGroup: (any EventLoopGroup)?

        /// Creates a configuration with the defaults.
        public init(
            servers: [ServerAddress],
            authentication: NATSAuthentication = .none,
            tls: NATSTLSConfiguration? = nil,
            name: String? = nil
        ) {
            self.servers = servers
            self.authentication = authentication
            self.tls = tls
            self.name = name
            connectTimeout = .seconds(5)
            retriesInitialConnect = false
            maximumReconnectPasses = nil
            reconnectDelay = ReconnectDelay()
            pingInterval = .seconds(30)
            maximumPingsOut = 2
            maximumPendingBytes = 8 << 20
            inboxPrefix = nil
            jetStreamPrefix = nil
            webSocketHeaders = [:]
            eventLoopGroup = nil
        }
    }
}
