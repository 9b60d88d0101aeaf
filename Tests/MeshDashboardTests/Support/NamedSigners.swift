import MeshEvents

/// Trusts nodes by their name, and says of others that they are forged.
struct NamedSigners: EventVerifier {
    /// Nodes of which every event is signed.
    var signed: Set<String> = []
    /// Nodes of which every event is forged, and why.
    var forged: [String: String] = [:]

    func verify(
        _ signature: String?,
        node: String,
        subject: RawSpan,
        payload: RawSpan
    ) -> EventSignature {
        if signed.contains(node) { return .signed(by: node) }
        return forged[node].map { .forged(reason: $0) } ?? .unsigned
    }
}
