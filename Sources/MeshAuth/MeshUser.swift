public import NATSClient

/// Someone who may log in, known to the server by a public key.
public struct MeshUser: Sendable, Hashable, Codable {
    /// The name, for people: the server knows the key only.
    public let name: String
    /// What the user may do.
    public let role: MeshRole
    /// The public NKey, `U…`.
    public let publicKey: String
    /// The durables whose events the user may take, once an admin has created them; of use to tools and nodes.
    public internal(set) var durables: [String]
    /// The names of the nodes for which the user answers requests about tools; of use to nodes.
    public internal(set) var nodes: [String]

    /// Creates a user with a key of its own.
    ///
    /// - Parameters:
    ///   - name: 1 to 64 ASCII letters, digits, `-`, `_`, and dots inside.
    ///   - role: what the user may do.
    ///   - key: the user's key; only its public half is kept.
    ///   - durables: the durables whose events the user may take; `nil` for one of the user's own name, if that can be
    ///     one: the name of a durable has no dots.
    ///   - nodes: the nodes the user answers for; `nil` for one of the user's own name.
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

    /// Reads a user; one written before users had durables and nodes has those of its name.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        role = try container.decode(MeshRole.self, forKey: .role)
        publicKey = try container.decode(String.self, forKey: .publicKey)
        durables = try container.decodeIfPresent([String].self, forKey: .durables) ?? Self.ownDurables(name, role)
        nodes = try container.decodeIfPresent([String].self, forKey: .nodes) ?? Self.ownNodes(name, role)
        // They become subjects: a wildcard among them would be a right to everything.
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
