import MeshEvents
public import NKeys

/// A user who may log in; the server knows it by its public key.
public struct MeshUser: Sendable, Hashable, Codable {
    /// The name, for people: the server knows only the key.
    public let name: String
    /// What the user may do.
    public let role: MeshRole
    /// The public NKey, `U…`.
    public let publicKey: String
    /// The durables whose events the user may take, once an admin has created them; for tools and nodes.
    public internal(set) var durables: [String]
    /// The names of the nodes for which the user answers requests about tools and logs; for nodes.
    public internal(set) var nodes: [String]

    /// Creates a user.
    ///
    /// - Parameters:
    ///   - name: 1 to 64 ASCII letters, digits, `-`, `_`, and dots inside.
    ///   - role: what the user may do.
    ///   - key: the user's key; only its public half is kept.
    ///   - durables: the durables whose events the user may take; `nil` for one with the user's name, when that is a
    ///     valid name: the name of a durable has no dots.
    ///   - nodes: the nodes that the user answers for; `nil` for one with the user's name.
    /// - Throws: `invalidName`.
    public init(
        name: String,
        role: MeshRole,
        key: NKey,
        durables: [String]? = nil,
        nodes: [String]? = nil
    ) throws(MeshAuthError) {
        let isValid = name.first != "." && name.first != "-" && Self.isWord(name, punctuation: "-_.")
        guard isValid else {
            throw MeshAuthError(
                .invalidName,
                "\(name.debugDescription) cannot be a user's name: take 1 to 64 ASCII letters, digits, '-', '_' and '.'"
            )
        }
        self.name = name
        self.role = role
        publicKey = key.publicKey
        self.durables = durables ?? Self.ownDurables(name, role)
        self.nodes = nodes ?? Self.ownNodes(name, role)
        for durable in self.durables { try Self.check(durable: durable) }
        for node in self.nodes { try Self.check(node: node) }
    }

    /// Reads a user. A user written before users had durables and nodes gets those with its name.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        role = try container.decode(MeshRole.self, forKey: .role)
        publicKey = try container.decode(String.self, forKey: .publicKey)
        durables = try container.decodeIfPresent([String].self, forKey: .durables) ?? Self.ownDurables(name, role)
        nodes = try container.decodeIfPresent([String].self, forKey: .nodes) ?? Self.ownNodes(name, role)
        // They become parts of subjects: a wildcard among them would allow everything.
        for durable in durables { try Self.check(durable: durable) }
        for node in nodes { try Self.check(node: node) }
    }

    /// What the user's inboxes begin with.
    public var inbox: String { "_INBOX.\(publicKey.prefix(16))" }

    /// What the user may publish and subscribe to.
    public var permissions: MeshPermissions { MeshPermissions(role, inbox: inbox, durables: durables, nodes: nodes) }

    /// Throws `invalidName` unless the name can be that of a durable.
    static func check(durable: String) throws(MeshAuthError) {
        guard isWord(durable, punctuation: "-_") else {
            throw MeshAuthError(
                .invalidName,
                "\(durable.debugDescription) cannot be the name of a durable here: take 1 to 64 ASCII letters, digits, "
                    + "'-' and '_'"
            )
        }
    }

    /// Throws `invalidName` unless the name can be that of a node.
    static func check(node: String) throws(MeshAuthError) {
        guard (1...255).contains(node.utf8.count) else {
            throw MeshAuthError(.invalidName, "a node's name has 1 to 255 bytes, not \(node.utf8.count)")
        }
    }

    private static func ownDurables(_ name: String, _ role: MeshRole) -> [String] {
        (role == .tool || role == .node) && isWord(name, punctuation: "-_") ? [name] : []
    }

    private static func ownNodes(_ name: String, _ role: MeshRole) -> [String] { role == .node ? [name] : [] }

    private static func isWord(_ text: String, punctuation: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || punctuation.utf8.contains(byte)
            }
    }
}

/// What a user of the mesh may do. The server enforces it; see ``MeshPermissions`` for the subjects.
public enum MeshRole: String, Sendable, Hashable, Codable, CaseIterable {
    /// Emits every event, reads all events, takes those of the durables listed for it, and answers requests about its
    /// own tools.
    case node
    /// Emits user events, reads all events, takes those of the durables listed for it.
    case tool
    /// Reads all events, and emits none.
    case observer
    /// Reads all events and the logs of nodes and tools, and controls tools; emits no events.
    case `operator`
    /// Does everything: creates, changes and deletes streams, durables and other consumers, controls tools.
    case admin

    /// What the role is for, in a few words.
    public var summary: String {
        switch self {
        case .node: "emits and reads events, takes its durables, answers for its tools"
        case .tool: "emits events.user.> only, reads all events, takes its durables"
        case .observer: "reads all events, emits none"
        case .operator: "reads all events and logs, controls tools"
        case .admin: "everything: makes and deletes streams and durables, controls tools"
        }
    }
}

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
///
/// What is done about the dead letters of a durable, retries and answers to them, is stored under a subject of its own,
/// `events.dead_letter.<durable>`: admins and nodes may do that for every durable, a tool for those listed for it.
///
/// Operators may ask nodes about tools and logs, and receive the answers to all such requests. They emit no events; what a
/// node answers is never published under an event's subject.
///
/// Nodes may write the bucket with the saved state, and remove keys from it that do not belong there. Others may not; but
/// the server sends its answers to whatever reply subject a request names, a key of the bucket too, and the bucket keeps
/// them. Such an answer is no entry, and the node that keeps the state replaces or removes it.
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
        let bucket = StateTable.name(for: stream)
        let reading =
            Self.reading(stream) + ["$JS.API.STREAM.INFO.KV_\(bucket)", "$JS.API.STREAM.MSG.GET.KV_\(bucket)"]
        let taking = durables.flatMap { Self.taking($0, stream) }
        switch role {
        case .observer:
            publish = reading
        case .tool:
            publish = ["events.user.>"] + reading + taking
        case .node:
            publish =
                ["events.>", "\(ControlSubject.answers).*", "$KV.\(bucket).>", "$JS.API.STREAM.PURGE.KV_\(bucket)"]
                + reading + taking
            subscribe += nodes.flatMap { node in
                [ControlSubject.tools(of: node), ControlSubject.logs(of: node), "\(ControlSubject.logs(of: node)).*"]
            }
        case .operator:
            publish =
                reading + [ControlSubject.tools(of: nil), "\(ControlSubject.logs).*", "\(ControlSubject.logs).*.*"]
            subscribe.append("\(ControlSubject.answers).*")
        case .admin:
            publish = [">"]
            subscribe = [">"]
        }
    }

    /// The subjects for history, replays and live state: information on the stream and its archive, and requests for
    /// single messages of both.
    private static func reading(_ stream: String) -> [String] {
        [
            "$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.\(stream)", "$JS.API.STREAM.MSG.GET.\(stream)",
            "$JS.API.CONSUMER.INFO.\(stream).*", "$JS.API.CONSUMER.NAMES.\(stream)", "$JS.API.CONSUMER.LIST.\(stream)",
        ]
            + ArchiveConfiguration.streamNames(for: stream).flatMap { archive in
                [
                    "$JS.API.STREAM.INFO.\(archive)", "$JS.API.STREAM.MSG.GET.\(archive)",
                    "$JS.API.CONSUMER.LIST.\(archive)",
                ]
            }
    }

    /// The subjects for taking and answering the events of one durable, and for retrying its dead letters.
    private static func taking(_ durable: String, _ stream: String) -> [String] {
        [
            "$JS.API.CONSUMER.MSG.NEXT.\(stream).\(durable)", "$JS.ACK.\(stream).\(durable).>",
            "events.dead_letter.\(durable)",
        ]
    }
}
