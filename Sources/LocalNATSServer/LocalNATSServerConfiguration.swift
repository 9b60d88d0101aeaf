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
