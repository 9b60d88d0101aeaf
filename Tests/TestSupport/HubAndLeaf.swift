public import LocalNATSServer
public import NATSClient
import NIOCore

/// Which servers of a hub and its leaf node have a JetStream domain.
public enum JetStreamDomains: String, CaseIterable, Sendable {
    /// Each has one of its own.
    case both
    /// The hub alone.
    case hub
    /// The leaf alone.
    case leaf
    /// No server has one, so that no answer says which of them it comes from.
    case neither

    /// The hub's.
    var ofHub: String? { self == .both || self == .hub ? "hub" : nil }
    /// The leaf's.
    var ofLeaf: String? { self == .both || self == .leaf ? "leaf" : nil }
}

/// Runs `body` with a hub and a leaf node, each with JetStream and a store of its own.
///
/// - Parameters:
///   - binary: which server both are.
///   - domains: which of them have a domain.
///   - way: is given the port at which the hub listens for the leaf, and tells the one to which the leaf connects: that of
///     a proxy, where the link is to be treated badly.
public func withHubAndLeaf(
    _ binary: NATSServers.Binary,
    _ domains: JetStreamDomains,
    way: (Int) async throws -> Int = { $0 },
    _ body: (_ hub: LocalNATSServer, _ leaf: LocalNATSServer) async throws -> Void
) async throws {
    let directory = try TemporaryDirectory()
    let port = try freePorts(1)[0]
    let linked = try await way(port)
    func configuration(_ name: String, _ domain: String?, _ link: String) -> LocalNATSServer.Configuration {
        let domain = domain.map { ", domain: \($0)" } ?? ""
        let jetStream = "jetstream { store_dir: \"\(directory.path)/\(name)\"\(domain) }\n"
        return .init(serverName: name, jetStream: false, extraConfiguration: jetStream + link)
    }
    // Else the leaf learns the hub's own address, and may pass by the proxy.
    let listening = "leafnodes { listen: \"127.0.0.1:\(port)\", no_advertise: true }"
    try await withServer(binary, configuration("hub", domains.ofHub, listening)) { hub in
        let connecting = "leafnodes { remotes: [{ url: \"nats://127.0.0.1:\(linked)\" }] }"
        try await withServer(binary, configuration("leaf", domains.ofLeaf, connecting)) { leaf in
            try await body(hub, leaf)
        }
    }
}

/// Waits until the leaf's stream keeps what is emitted at the hub, as the hub's own does: events of type `user.knock` are
/// emitted until it has one.
public func waitUntilKept(by leaf: JetStream, from hub: NATSConnection) async throws {
    try await eventually("the leaf to keep the hub's events") {
        try hub.publish(ByteBuffer(string: #"{"type":"user.knock","node":"a"}"#), to: "events.user.knock")
        return try await leaf.streamInfo("MESH_EVENTS").state.messages > 0
    }
    try await hub.flush()
}

extension JetStream {
    /// Changes fields of the mesh's stream, which refuses what does not fit instead of dropping what is oldest.
    public func limitStream(_ fields: [String: JetStreamValue]) async throws {
        var configuration = try await streamInfo("MESH_EVENTS").configuration
        configuration.fields["discard"] = "new"
        configuration.fields.merge(fields) { $1 }
        _ = try await updateStream(configuration)
    }

    /// Gives the mesh's stream room for so many more messages.
    public func leaveRoom(for count: Int) async throws {
        let messages = Int64(try await streamInfo("MESH_EVENTS").state.messages) + Int64(count)
        try await limitStream(["max_msgs": .integer(messages)])
    }
}
