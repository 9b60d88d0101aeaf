public import NATSClient

/// Someone who may log in, known to the server by a public key.
public struct MeshUser: Sendable, Hashable, Codable {
    /// The name, for people: the server knows the key only.
    public let name: String
    /// What the user may do.
    public let role: MeshRole
    /// The public NKey, `U…`.
    public let publicKey: String

    /// Creates a user with a key of its own.
    ///
    /// - Throws: `invalidName` unless the name is made of letters, digits, `-`, `_` and dots inside, 64 at most.
    public init(name: String, role: MeshRole, key: NKey) throws(MeshAuthError) {
        let isValid =
            (1...64).contains(name.utf8.count) && name.first != "." && name.first != "-"
            && name.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "-_.".utf8.contains(byte)
            }
        guard isValid else {
            throw MeshAuthError(
                .invalidName,
                "\(name.debugDescription) cannot be a user's name: take 1 to 64 ASCII letters, digits, '-', '_' and '.'"
            )
        }
        self.name = name
        self.role = role
        publicKey = key.publicKey
    }

    /// What the user's inboxes begin with.
    public var inbox: String { "_INBOX.\(publicKey.prefix(16))" }

    /// What the user may publish and subscribe to.
    public var permissions: MeshPermissions { MeshPermissions(role, inbox: inbox) }
}
