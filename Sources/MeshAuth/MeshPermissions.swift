import MeshEvents

/// The subjects that a user may publish and subscribe to: no more than what the role needs for what it does.
///
/// Only admins may create consumers, durables included: a user who may create a consumer under any name may change the
/// durables of others and fill the server with consumers, and under one name may still choose what it reads, and limits
/// that nats-server 2.9 does not survive. Others take the events of the durables listed for them, which an admin has
/// created. History, replays and live state are read with `STREAM.MSG.GET`, which changes nothing. Direct gets (`DIRECT.GET`) are left out on purpose: their answer
/// is the stored message itself, and the server sends it to whatever reply subject the request names, so that a user
/// who may emit user events could have them arrive under another event's subject.
public struct MeshPermissions: Sendable, Hashable {
    /// The subjects it may publish to; wildcards as in a subscription.
    public var publish: [String]
    /// The subjects it may subscribe to.
    public var subscribe: [String]

    /// The permissions of a role.
    ///
    /// - Parameters:
    ///   - role: what the user may do in the mesh.
    ///   - inbox: what the user's inboxes begin with: no other user may listen there, where answers come.
    ///   - durables: the durables whose events a tool or a node takes.
    ///   - nodes: the names of the nodes in whose place a node answers requests about tools.
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

    /// What history, replays and live state need: looking, and requests for single messages.
    private static func reading(_ stream: String) -> [String] {
        [
            "$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.\(stream)", "$JS.API.STREAM.MSG.GET.\(stream)",
            "$JS.API.CONSUMER.INFO.\(stream).*", "$JS.API.CONSUMER.NAMES.\(stream)", "$JS.API.CONSUMER.LIST.\(stream)",
        ]
    }

    /// What taking and answering the events of one durable needs.
    private static func taking(_ durable: String, _ stream: String) -> [String] {
        ["$JS.API.CONSUMER.MSG.NEXT.\(stream).\(durable)", "$JS.ACK.\(stream).\(durable).>"]
    }
}
