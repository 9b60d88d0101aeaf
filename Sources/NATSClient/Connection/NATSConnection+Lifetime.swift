public import Logging

#if ServiceLifecycle
    public import ServiceLifecycle
#endif

extension NATSConnection {
    /// Connects, passes the connection to `body`, and drains it when `body` returns. When `body` throws, the connection is
    /// closed at once.
    ///
    /// ```swift
    /// try await NATSConnection.withConnection(to: "nats://127.0.0.1:4222") { connection in
    ///     try connection.publish("hello", to: "greetings")
    /// }
    /// ```
    ///
    /// - Throws: as ``connect(to:logger:)``, what `body` throws, and `timeout` when the server does not answer the drain in
    ///   time.
    public static func withConnection<Result>(
        to servers: String,
        logger: Logger = Logger(label: "nats"),
        _ body: (NATSConnection) async throws -> Result
    ) async throws -> Result {
        let configuration = Configuration(servers: try ServerAddress.list(servers))
        return try await withConnection(configuration, logger: logger, body)
    }

    /// Connects as the configuration says, passes the connection to `body`, and drains it when `body` returns.
    ///
    /// - Throws: as ``withConnection(to:logger:_:)``.
    public static func withConnection<Result>(
        _ configuration: Configuration,
        logger: Logger = Logger(label: "nats"),
        _ body: (NATSConnection) async throws -> Result
    ) async throws -> Result {
        let connection = try await connect(configuration, logger: logger)
        do {
            let result = try await body(connection)
            try await connection.drain()
            return result
        } catch {
            await connection.close()
            throw error
        }
    }
}

#if ServiceLifecycle
    extension NATSConnection: Service {
        /// Waits for the graceful shutdown of its service group, then drains the connection. A task that is cancelled
        /// closes it.
        ///
        /// - Throws: why the connection ended for good by itself; `timeout` when the server does not answer the drain in
        ///   time.
        public func run() async throws {
            let updates = statusUpdates()
            let end = await cancelWhenGracefulShutdown { () -> NATSError?? in
                for await update in updates {
                    if case .closed(let error) = update { return error }
                }
                return nil
            }
            if let end {
                if let error = end { throw error }
            } else if Task.isCancelled {
                await close()
            } else {
                try await drain()
            }
        }
    }
#endif
