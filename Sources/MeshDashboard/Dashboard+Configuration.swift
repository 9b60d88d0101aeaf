extension Dashboard {
    /// A dashboard's address, access and limits.
    public struct Configuration: Sendable {
        /// The address to listen on: one of this machine, or `0.0.0.0` for all of them. Default: loopback only. Any
        /// other needs a ``token``.
        public var host: String
        /// The port, 0 for a free one. Default 8080.
        public var port: Int
        /// The secret for the login, at least 16 bytes; `nil` gives access to every client that reaches the address.
        public var token: String?
        /// Host names that browsers may use in requests, besides addresses and `localhost`. Other names are refused,
        /// because their owner can point them anywhere (DNS rebinding).
        public var hostNames: [String]
        /// How many browsers may receive events at once, from 1. Default 64. With a ``token``, further browsers are
        /// refused (`503 tooManyClients`). Without one, the oldest browser is ended with the server-sent event
        /// `closed`: any program that reaches the address could take all places, and must not keep them.
        public var maximumClients: Int
        /// How many events may wait for each browser, from 1. A slower browser is disconnected; it reconnects and reads
        /// the events it missed. Default 4 096.
        public var bufferedEvents: Int
        /// How many bytes may wait for each browser. Default 4 MiB.
        public var bufferedBytes: Int
        /// A directory to serve the page from instead of the built-in page: for developers of the page.
        public var pageDirectory: String?

        /// Creates a configuration; the default is loopback, port 8080, without a token.
        public init(
            host: String = "127.0.0.1",
            port: Int = 8080,
            token: String? = nil,
            hostNames: [String] = [],
            maximumClients: Int = 64,
            bufferedEvents: Int = 4_096,
            bufferedBytes: Int = 4 << 20,
            pageDirectory: String? = nil
        ) {
            self.host = host
            self.port = port
            self.token = token
            self.hostNames = hostNames
            self.maximumClients = max(1, maximumClients)
            self.bufferedEvents = max(1, bufferedEvents)
            self.bufferedBytes = max(1_024, bufferedBytes)
            self.pageDirectory = pageDirectory
        }
    }
}
