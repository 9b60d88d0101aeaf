import Foundation

/// The value of the header `Mesh-Signature`: `v1 <public key> <signature in base64>`.
struct SignatureField {
    static let version = "v1"

    /// The public key in NATS's notation.
    let key: Substring
    /// The 64 bytes of an Ed25519 signature.
    let signature: Data

    /// Reads a value; `nil` when it is not a signature of this version.
    init?(_ text: String) {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == Self.version, parts[2].utf8.count == 88,
            let signature = Data(base64Encoded: String(parts[2])), signature.count == 64
        else { return nil }
        key = parts[1]
        self.signature = signature
    }

    static func text(key: String, signature: [UInt8]) -> String {
        "\(version) \(key) \(Data(signature).base64EncodedString())"
    }
}
