import Crypto
public import Foundation

/// An Ed25519 key pair in NATS's notation: a seed like `SU…` and a public key like `U…`
/// (prefix bytes, key, CRC-16, all in base32).
public struct NKey: Sendable {
    private let key: Curve25519.Signing.PrivateKey
    private let typePrefix: UInt8

    /// What a key stands for; the first letter of its public key shows it.
    public enum Role: UInt8, Sendable {
        /// A user, `U…`.
        case user = 160
        /// An account, `A…`.
        case account = 0
        /// An operator, `O…`.
        case `operator` = 112
    }

    /// The public key, as servers list it: the role's letter (`U` for users) and 55 more characters.
    public var publicKey: String {
        Self.withChecksum([typePrefix] + key.publicKey.rawRepresentation)
    }

    /// What the inboxes of a user with this key begin with, unless its connection is configured otherwise.
    public var inboxPrefix: String { "_INBOX.\(publicKey.prefix(16))" }

    /// The seed, a secret: every program that has it can sign as this key.
    public var seed: String {
        let first = UInt8(18 << 3) | (typePrefix >> 5)
        let second = (typePrefix & 31) << 3
        return Self.withChecksum([first, second] + key.rawRepresentation)
    }

    /// Makes a new key.
    public init(role: Role = .user) {
        key = Curve25519.Signing.PrivateKey()
        typePrefix = role.rawValue
    }

    /// Reads a seed.
    ///
    /// - Throws: `invalidSeed` when it is not a seed; the message never shows it.
    public init(seed: String) throws(NKeyError) {
        let text = seed.trimmingCharacters(in: .whitespacesAndNewlines)
        guard let bytes = Base32.decode(text), bytes.count == 36, bytes[0] & 0xF8 == 18 << 3 else {
            throw NKeyError(
                .invalidSeed,
                "the NKey seed is invalid: it must be 58 characters beginning with S"
            )
        }
        let body = bytes.prefix(34)
        guard Self.checksum(body) == UInt16(bytes[34]) | UInt16(bytes[35]) << 8 else {
            throw NKeyError(.invalidSeed, "the NKey seed is mistyped: its checksum does not match")
        }
        typePrefix = (bytes[0] & 7) << 5 | (bytes[1] & 0xF8) >> 3
        do {
            key = try Curve25519.Signing.PrivateKey(rawRepresentation: body.dropFirst(2))
        } catch {
            throw NKeyError(.invalidSeed, "the NKey seed holds no Ed25519 key", underlying: error)
        }
    }

    /// Reads the seed in a text, such as a file's: the first line that is a seed. Other lines are ignored.
    ///
    /// - Throws: `invalidSeed` when no line is a seed; the message never shows any.
    public init(seedIn text: String) throws(NKeyError) {
        var failure: NKeyError?
        for line in text.split(whereSeparator: \.isNewline) {
            let word = line.trimmingCharacters(in: .whitespaces)
            do throws(NKeyError) {
                self = try NKey(seed: word)
                return
            } catch {
                // The error for a line that looks like a seed is more useful than that for any other line.
                let isMeant = word.count == 58 && word.hasPrefix("S")
                if failure == nil || isMeant { failure = error }
            }
        }
        throw failure
            ?? NKeyError(.invalidSeed, "there is no NKey seed (58 characters beginning with S) in it")
    }

    /// Signs bytes; returns the signature of 64 bytes.
    ///
    /// - Throws: `signingFailed`.
    public func sign(_ bytes: some DataProtocol) throws(NKeyError) -> [UInt8] {
        do {
            return Array(try key.signature(for: bytes))
        } catch {
            throw NKeyError(.signingFailed, "signing with the NKey failed", underlying: error)
        }
    }

    private static func withChecksum(_ bytes: [UInt8]) -> String {
        let sum = checksum(bytes)
        return Base32.encode(bytes + [UInt8(sum & 0xFF), UInt8(sum >> 8)])
    }

    /// CRC-16/XMODEM, as in the NKeys specification.
    static func checksum(_ bytes: some Sequence<UInt8>) -> UInt16 {
        bytes.reduce(0) { crc, byte in
            (0..<8).reduce(crc ^ UInt16(byte) << 8) { crc, _ in
                crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x1021
            }
        }
    }
}
