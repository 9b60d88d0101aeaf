public import Logging
public import MeshEvents

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
        configuration: PersistenceConfiguration = PersistenceConfiguration(),
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
