/// The subjects that a role may publish and subscribe to: no more than what it needs for what it does.
public struct MeshPermissions: Sendable, Hashable {
    /// The subjects it may publish to; wildcards as in a subscription.
    public var publish: [String]
    /// The subjects it may subscribe to.
    public var subscribe: [String]
    /// Whether it may answer requests that reach it, once each.
    public var answersRequests: Bool

    /// The permissions of a role.
    ///
    /// - Parameters:
    ///   - role: what the user may do in the mesh.
    ///   - inbox: what the user's inboxes begin with: nobody else may listen there, where answers come.
    ///   - stream: the mesh's stream.
    public init(_ role: MeshRole, inbox: String, stream: String = "MESH_EVENTS") {
        answersRequests = role == .node
        subscribe = ["events.>", "\(inbox).>"]
        let reading = Self.reading(stream)
        let durables = ["$JS.API.CONSUMER.DURABLE.CREATE.\(stream).*", "$JS.ACK.\(stream).>"]
        switch role {
        case .observer:
            publish = reading
        case .tool:
            publish = ["events.user.>"] + reading + durables
        case .node:
            publish =
                ["events.>"] + reading + durables
                + ["$JS.API.STREAM.CREATE.\(stream)", "$JS.API.CONSUMER.DELETE.\(stream).*"]
            subscribe.append("mesh.control.tool.*")
        case .admin:
            publish = [">"]
            subscribe = [">"]
        }
    }

    /// What history, replays and live state need: pull consumers, and requests for single messages.
    private static func reading(_ stream: String) -> [String] {
        [
            "$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.\(stream)", "$JS.API.STREAM.MSG.GET.\(stream)",
            "$JS.API.DIRECT.GET.\(stream)", "$JS.API.DIRECT.GET.\(stream).>",
            "$JS.API.CONSUMER.CREATE.\(stream)", "$JS.API.CONSUMER.CREATE.\(stream).>",
            "$JS.API.CONSUMER.INFO.\(stream).*", "$JS.API.CONSUMER.NAMES.\(stream)", "$JS.API.CONSUMER.LIST.\(stream)",
            "$JS.API.CONSUMER.MSG.NEXT.\(stream).*", "$JS.FC.\(stream).>",
        ]
    }
}
