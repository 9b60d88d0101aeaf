import MeshEvents

/// The subjects that a user may publish and subscribe to: only those that its role needs.
///
/// Only admins may create consumers, durables included. A user who may create a consumer under any name may change the
/// durables of others and fill the server with consumers. Under one name, it may still choose what the consumer reads,
/// and limits that crash nats-server 2.9. Other users take the events of the durables listed for them, which an admin
/// has created.
///
/// History, replays and live state are read with `STREAM.MSG.GET`, which changes nothing. Direct gets (`DIRECT.GET`)
/// are not allowed: their answer is the stored message itself, and the server sends it to whatever reply subject the
/// request names. So a user who may emit user events could have them arrive under another event's subject.
public struct MeshPermissions: Sendable, Hashable {
    /// The subjects it may publish to; wildcards as in a subscription.
    public var publish: [String]
    /// The subjects it may subscribe to.
    public var subscribe: [String]

    /// The permissions of a role.
    ///
    /// - Parameters:
    ///   - role: what the user may do in the mesh.
    ///   - inbox: what the user's inboxes begin with; no other user may receive answers there.
    ///   - durables: the durables whose events a tool or a node takes.
    ///   - nodes: the names of the nodes for which a user of the role node answers requests about tools.
    ///   - stream: the mesh's stream.
    public init(
        _ role: MeshRole,
        inbox: String,
        durables: [String] = [],
        nodes: [String] = [],
        stream: String = "MESH_EVENTS"
    ) {
        subscribe = ["events.>", "\(inbox).>"]
        let reading = Self.reading(stream)
        let taking = durables.flatMap { Self.taking($0, stream) }
        switch role {
        case .observer:
            publish = reading
        case .tool:
            publish = ["events.user.>"] + reading + taking
        case .node:
            publish = ["events.>", "\(ControlSubject.answers).*"] + reading + taking
            subscribe += nodes.map { ControlSubject.tools(of: $0) }
        case .admin:
            publish = [">"]
            subscribe = [">"]
        }
    }

    /// The subjects for history, replays and live state: information, and requests for single messages.
    private static func reading(_ stream: String) -> [String] {
        [
            "$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.\(stream)", "$JS.API.STREAM.MSG.GET.\(stream)",
            "$JS.API.CONSUMER.INFO.\(stream).*", "$JS.API.CONSUMER.NAMES.\(stream)", "$JS.API.CONSUMER.LIST.\(stream)",
        ]
    }

    /// The subjects for taking and answering the events of one durable.
    private static func taking(_ durable: String, _ stream: String) -> [String] {
        ["$JS.API.CONSUMER.MSG.NEXT.\(stream).\(durable)", "$JS.ACK.\(stream).\(durable).>"]
    }
}
