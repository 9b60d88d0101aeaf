import LocalNATSServer
public import NATSClient

extension LocalCluster {
    /// A connection that knows every server.
    public func connect() async throws -> NATSConnection {
        var configuration = NATSConnection.Configuration(servers: try urls.flatMap { try ServerAddress.list($0) })
        configuration.reconnectDelay = ReconnectDelay(initial: .milliseconds(20), maximum: .milliseconds(200))
        return try await NATSConnection.connect(configuration, logger: quiet)
    }

    /// Waits until the cluster can create streams: its servers have found each other and chosen a leader.
    public func waitUntilReady() async throws {
        let jetStream = JetStream(connection: try await connect())
        try await eventually("the cluster to have a leader") {
            var trial = StreamConfiguration(name: "READY", subjects: ["ready"])
            trial.replicas = servers.count
            return (try? await jetStream.createStream(trial)) != nil
        }
        try await jetStream.deleteStream("READY")
        await jetStream.connection.close()
    }

    /// The server that leads a stream and the others, once every copy is complete.
    public func wholeStream(
        _ jetStream: JetStream,
        _ name: String = "MESH_EVENTS"
    ) async throws -> ClusterInformation {
        var found: ClusterInformation?
        try await eventually(within: .seconds(120), "every copy of the stream to be complete") {
            found = try? await jetStream.streamInfo(name).cluster
            guard let found, found.leader != nil, let replicas = found.replicas else { return false }
            return replicas.count == servers.count - 1 && replicas.allSatisfy { $0.isCurrent && $0.isOffline != true }
        }
        guard let found else { throw TestSupportError("the stream is in no cluster") }
        return found
    }

    /// Kills the server that leads the stream, waits until another leads, and starts it again.
    ///
    /// - Returns: The name of the server that was killed.
    @discardableResult
    public func killStreamLeader(_ jetStream: JetStream) async throws -> String {
        guard let leader = try await wholeStream(jetStream).leader, let server = servers[leader] else {
            throw TestSupportError("the stream's leader is none of the cluster's servers")
        }
        await server.kill()
        try await eventually("another leader than \(leader)") {
            let now = try? await jetStream.streamInfo("MESH_EVENTS").cluster?.leader
            return now != nil && now != leader
        }
        try await server.restart()
        return leader
    }
}
