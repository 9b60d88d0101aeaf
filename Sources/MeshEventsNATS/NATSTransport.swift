public import Logging
public import MeshEvents
public import NATSClient

#if ServiceLifecycle
    public import ServiceLifecycle
#endif

/// Carries events over a NATS connection.
///
/// ```swift
/// let transport = try await NATSTransport.connect(to: "nats://127.0.0.1:4222")
/// let bus = EventBus(transport: transport, node: "node-a")
/// ```
public final class NATSTransport: EventTransport {
    /// The connection underneath; it may be shared with other uses of NATS.
    public let connection: NATSConnection

    /// Uses an existing connection. The caller that made it closes it.
    public init(_ connection: NATSConnection) { self.connection = connection }

    /// Connects to the first of these servers that answers, and keeps connected.
    ///
    /// - Parameters:
    ///   - servers: addresses such as `nats://127.0.0.1:4222`, several separated by commas.
    ///   - authentication: how to log in; addresses may hold user and password instead.
    ///   - tls: how to use TLS, beyond what the addresses say.
    ///   - name: the name the server shows for this connection.
    ///   - logger: receives lost and restored connections, and what the server refuses.
    /// - Throws: `connectionFailed`, `authenticationFailed`, `invalidArgument` for an address that cannot be read.
    public static func connect(
        to servers: String,
        authentication: NATSAuthentication = .none,
        tls: NATSConnection.TLSConfiguration? = nil,
        name: String? = nil,
        logger: Logger = Logger(label: "mesh-events.nats")
    ) async throws(MeshEventsError) -> NATSTransport {
        do throws(NATSError) {
            let configuration = NATSConnection.Configuration(
                servers: try ServerAddress.list(servers),
                authentication: authentication,
                tls: tls,
                name: name
            )
            return NATSTransport(try await NATSConnection.connect(configuration, logger: logger))
        } catch {
            throw MeshEventsError(error)
        }
    }

    /// Connects as the configuration says.
    ///
    /// - Throws: as ``connect(to:authentication:tls:name:logger:)``.
    public static func connect(
        _ configuration: NATSConnection.Configuration,
        logger: Logger = Logger(label: "mesh-events.nats")
    ) async throws(MeshEventsError) -> NATSTransport {
        do throws(NATSError) {
            return NATSTransport(try await NATSConnection.connect(configuration, logger: logger))
        } catch {
            throw MeshEventsError(error)
        }
    }

    /// The largest message the server accepts, in bytes.
    public var maximumPayload: Int? { connection.maximumPayload }

    /// Queues a message for sending; while the connection is down, messages are kept, up to the connection's limit.
    public func publish(_ message: OutgoingMessage) throws(MeshEventsError) {
        do throws(NATSError) {
            guard message.headers.isEmpty else { return try publishWithHeaders(message) }
            try connection.publish(subject: message.subjectBytes, payload: message.payloadBytes)
        } catch {
            throw MeshEventsError(error)
        }
    }

    private func publishWithHeaders(_ message: OutgoingMessage) throws(NATSError) {
        let (subject, payload) = (message.subjectBytes, message.payloadBytes)
        let result = message.headers.block.withUnsafeBytes { block in
            Result { () throws(NATSError) in
                try connection.publish(subject: subject, headerBlock: block, payload: payload)
            }
        }
        try result.get()
    }

    /// What the connection has counted so far.
    public var statistics: TransportStatistics {
        let statistics = connection.statistics
        return TransportStatistics(
            reconnects: statistics.reconnects,
            unconfirmed: statistics.unconfirmed,
            outboundBytes: statistics.pendingBytes
        )
    }

    /// Suspends until the outbound buffer has room again.
    public func waitUntilWritable() async throws(MeshEventsError) {
        do throws(NATSError) {
            try await connection.waitUntilWritable()
        } catch {
            throw MeshEventsError(error)
        }
    }

    /// Suspends until the server has processed everything published before.
    public func flush(timeout: Duration) async throws(MeshEventsError) {
        do throws(NATSError) {
            try await connection.flush(timeout: timeout)
        } catch {
            throw MeshEventsError(error)
        }
    }

    /// Subscribes; returns when the server has the subscription.
    public func subscribe(
        to subject: String,
        queueGroup: String?,
        receiver: any MessageReceiver
    ) async throws(MeshEventsError) -> any TransportSubscription {
        do throws(NATSError) {
            let handle = try await connection.subscribe(
                to: subject,
                queueGroup: queueGroup,
                receiver: NATSReceiver(receiver)
            )
            return NATSTransportSubscription(handle)
        } catch {
            throw MeshEventsError(error)
        }
    }

    /// Closes the connection; flush first when emitted events must arrive. It waits at most a second, so that the
    /// server learns which readers of the store have ended.
    public func close() async {
        await connection.flushUnawaited()
        await connection.close()
    }
}

/// Passes messages of the client to a receiver of the core, in place.
private final class NATSReceiver: NATSMessageReceiver {
    private let receiver: any MessageReceiver

    init(_ receiver: any MessageReceiver) { self.receiver = receiver }

    func receive(_ message: NATSMessageView) {
        receiver.receive(
            IncomingMessage(
                subjectBytes: message.subjectBytes,
                payloadBytes: message.payloadBytes,
                headerBytes: message.headerBytes
            )
        )
    }

    func receiveBatchEnd() { receiver.receiveBatchEnd() }

    func receiveEnd(_ error: NATSError?) { receiver.receiveEnd(error.map { MeshEventsError($0) }) }
}

/// A subscription of the client as one of the core.
private final class NATSTransportSubscription: TransportSubscription {
    private let handle: NATSSubscriptionHandle

    init(_ handle: NATSSubscriptionHandle) { self.handle = handle }

    func cancel() { handle.cancel() }

    func drain(timeout: Duration) async throws(MeshEventsError) {
        do throws(NATSError) {
            try await handle.drain(timeout: timeout)
        } catch {
            throw MeshEventsError(error)
        }
    }
}

extension PersistentEventBus {
    /// Opens the stream on the server that a transport is connected to; creates it when it does not exist.
    ///
    /// ```swift
    /// let transport = try await NATSTransport.connect(to: "nats://127.0.0.1:4222")
    /// let persistent = try await PersistentEventBus.open(transport: transport, node: "node-a")
    /// try await persistent.emit(ToolInstalled(tool: "whisper", version: "v1.0.0"))
    /// ```
    ///
    /// - Parameters:
    ///   - transport: carries the events and the store's requests.
    ///   - node: this node's name in the mesh; events without a node get it.
    ///   - configuration: the stream. The default is the mesh's.
    ///   - busConfiguration: the plain bus beside it; tracing, metrics and signatures apply to both.
    /// - Throws: `persistenceUnavailable`, `permissionDenied`, `streamMismatch`, `timeout`, `connectionFailed`.
    public static func open(
        transport: NATSTransport,
        node: String,
        configuration: PersistentEventBus.Configuration = PersistentEventBus.Configuration(),
        busConfiguration: EventBus.Configuration = EventBus.Configuration(),
        logger: Logger = Logger(label: "mesh-events.bus")
    ) async throws(MeshEventsError) -> PersistentEventBus {
        try await open(
            transport: transport,
            store: JetStreamStore(transport.connection, streamName: configuration.streamName),
            node: node,
            configuration: configuration,
            busConfiguration: busConfiguration,
            logger: logger
        )
    }
}

extension NATSTransport {
    /// One element for every time the connection has been restored; ends when it is closed for good.
    public var reconnections: AsyncStream<Void> {
        // The first status is only the present one.
        let changes = connection.statusUpdates().dropFirst()
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let watch = Task {
            for await change in changes {
                if case .reconnected = change { continuation.yield() }
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in watch.cancel() }
        return stream
    }
}

extension NATSTransport {
    /// Connects, passes the transport to `body`, and drains the connection when `body` returns. When `body` throws, the
    /// connection is closed at once.
    ///
    /// - Throws: as ``connect(_:logger:)``, what `body` throws, and `timeout` when the server does not answer the drain in
    ///   time.
    public static func withTransport<Result>(
        _ configuration: NATSConnection.Configuration,
        logger: Logger = Logger(label: "mesh-events.nats"),
        _ body: (NATSTransport) async throws -> Result
    ) async throws -> Result {
        let transport = try await connect(configuration, logger: logger)
        do {
            let result = try await body(transport)
            await transport.connection.flushUnawaited()
            do throws(NATSError) {
                try await transport.connection.drain()
            } catch {
                throw MeshEventsError(error)
            }
            return result
        } catch {
            await transport.close()
            throw error
        }
    }

    /// The same with the addresses of servers, several separated by commas.
    ///
    /// - Throws: as ``withTransport(_:logger:_:)``; `invalidArgument` for an address that cannot be read.
    public static func withTransport<Result>(
        to servers: String,
        logger: Logger = Logger(label: "mesh-events.nats"),
        _ body: (NATSTransport) async throws -> Result
    ) async throws -> Result {
        let configuration: NATSConnection.Configuration
        do throws(NATSError) {
            configuration = NATSConnection.Configuration(servers: try ServerAddress.list(servers))
        } catch {
            throw MeshEventsError(error)
        }
        return try await withTransport(configuration, logger: logger, body)
    }
}

extension PersistentEventBus {
    /// Connects, opens the stream, and passes the bus to `body`. When `body` returns, the bus is closed and what was emitted
    /// has arrived; when it throws, all is closed at once.
    ///
    /// ```swift
    /// try await PersistentEventBus.withBus(to: "nats://127.0.0.1:4222", node: "node-a") { bus in
    ///     try await bus.emit(ToolInstalled(tool: "whisper", version: "v1.0.0"))
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - servers: addresses such as `nats://127.0.0.1:4222`, several separated by commas.
    ///   - node: this node's name in the mesh; events without a node get it.
    ///   - configuration: the stream. The default is the mesh's.
    ///   - busConfiguration: the plain bus beside it; tracing, metrics and signatures apply to both.
    ///   - logger: receives what the bus reports.
    ///   - body: uses the bus.
    /// - Throws: as ``open(transport:node:configuration:busConfiguration:logger:)``, what `body` throws, and `timeout` when
    ///   the server does not answer the drain in time.
    public static func withBus<Result>(
        to servers: String,
        node: String,
        configuration: PersistentEventBus.Configuration = PersistentEventBus.Configuration(),
        busConfiguration: EventBus.Configuration = EventBus.Configuration(),
        logger: Logger = Logger(label: "mesh-events.bus"),
        _ body: (PersistentEventBus) async throws -> Result
    ) async throws -> Result {
        try await NATSTransport.withTransport(to: servers, logger: logger) { transport in
            let bus = try await open(
                transport: transport,
                node: node,
                configuration: configuration,
                busConfiguration: busConfiguration,
                logger: logger
            )
            do {
                let result = try await body(bus)
                await bus.close()
                return result
            } catch {
                await bus.close()
                throw error
            }
        }
    }
}

#if ServiceLifecycle
    extension NATSTransport: Service {
        /// Waits for the graceful shutdown of its service group, then drains the connection. A task that is cancelled
        /// closes it.
        ///
        /// In a service group it comes before what uses it: services end in the reverse order.
        ///
        /// - Throws: why the connection ended for good by itself; `timeout` when the server does not answer the drain in
        ///   time.
        public func run() async throws {
            do {
                try await connection.run()
            } catch let error as NATSError {
                throw MeshEventsError(error)
            }
        }
    }
#endif
