extension Dashboard {
    /// Where a dashboard is reached, by whom, and how much it bears.
    public struct Configuration: Sendable {
        /// The address to listen on: one of this machine, or `0.0.0.0` for all of them. Default: loopback only. Any
        /// other needs a ``token``.
        public var host: String
        /// The port, 0 for a free one. Default 8080.
        public var port: Int
        /// What one has to know to see anything, at least 16 bytes; `nil` lets everybody in who reaches the address.
        public var token: String?
        /// Names under which browsers may ask, beside addresses and `localhost`: a name that is not known here could
        /// lead anywhere (DNS rebinding).
        public var hostNames: [String]
        /// How many browsers may listen at once, from 1. Default 64. With a ``token`` those beyond are refused
        /// (`503 tooManyClients`); without one the oldest is told so by the server-sent event `closed`, and makes room:
        /// any program that reaches the address could take all places, and must not keep them.
        public var maximumClients: Int
        /// How many events may wait for each of them, from 1; one that is slower is cut off, comes back, and reads what
        /// it missed. Default 4 096.
        public var bufferedEvents: Int
        /// How many bytes may wait for each of them. Default 4 MiB.
        public var bufferedBytes: Int
        /// A directory to serve the page from instead of the one that is built in: for those who work on the page.
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
