import Crypto
public import Foundation

/// The public half of an Ed25519 key pair in NATS's notation: `U…` for a user, 56 characters.
public struct NKeyPublicKey: Sendable, Hashable, CustomStringConvertible {
    /// The key in NATS's notation.
    public let description: String
    private let key: Curve25519.Signing.PublicKey

    /// Reads a public key.
    ///
    /// - Throws: `invalidPublicKey` when the text is not a public key.
    public init(_ text: String) throws(NKeyError) {
        let problem: String
        if text.hasPrefix("S") {
            // The text is not shown: a seed is a secret.
            problem = "a seed (S…) was given where a public key is wanted; a public key begins with U"
        } else if let bytes = Base32.decode(text), bytes.count == 35,
            NKey.Role(rawValue: bytes[0]) != nil,
            NKey.checksum(bytes.prefix(33)) == UInt16(bytes[33]) | UInt16(bytes[34]) << 8,
            let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes[1..<33])
        {
            self.key = key
            description = text
            return
        } else {
            problem = "\(text.prefix(80).debugDescription) is not a public NKey: it has 56 characters and begins with U"
        }
        throw NKeyError(.invalidPublicKey, problem)
    }

    /// Whether these 64 bytes are this key's signature of `bytes`.
    public func isValidSignature(_ signature: some DataProtocol, for bytes: some DataProtocol) -> Bool {
        key.isValidSignature(signature, for: bytes)
    }

    /// What the inboxes of a user with this key begin with, unless its connection is configured otherwise.
    public var inboxPrefix: String { "_INBOX.\(description.prefix(16))" }

    /// Compares the notation: it contains the whole key.
    public static func == (one: NKeyPublicKey, other: NKeyPublicKey) -> Bool { one.description == other.description }

    /// Hashes the notation.
    public func hash(into hasher: inout Hasher) { hasher.combine(description) }
}
