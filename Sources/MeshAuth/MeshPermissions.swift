import MeshEvents

/// The subjects that a user may publish and subscribe to: no more than what the role needs for what it does.
///
/// Only admins may create consumers other than the durables listed for them: a user who may create a consumer under any
/// name may change the durables of others, and fill the server with consumers. History, replays and live state are
/// read with `STREAM.MSG.GET`, which changes nothing. Direct gets (`DIRECT.GET`) are left out on purpose: their answer
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
    ///   - durables: the durables that a tool or a node keeps.
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
        let keeping = durables.flatMap { Self.keeping($0, stream) }
        switch role {
        case .observer:
            publish = reading
        case .tool:
            publish = ["events.user.>"] + reading + keeping
        case .node:
            publish = ["events.>", "\(ControlSubject.answers).*"] + reading + keeping
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

    /// What keeping one durable needs. The server holds the request's body to the name in the subject.
    private static func keeping(_ durable: String, _ stream: String) -> [String] {
        [
            "$JS.API.CONSUMER.DURABLE.CREATE.\(stream).\(durable)", "$JS.API.CONSUMER.MSG.NEXT.\(stream).\(durable)",
            "$JS.API.CONSUMER.DELETE.\(stream).\(durable)", "$JS.ACK.\(stream).\(durable).>",
        ]
    }
}
