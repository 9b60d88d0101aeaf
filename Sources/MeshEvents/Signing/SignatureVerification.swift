/// How the signatures of arriving events are verified.
public struct SignatureVerification: Sendable {
    /// What to do with an event that is not signed by its node.
    public enum Policy: String, Sendable, CaseIterable {
        /// It is delivered; ``Event/signature`` says why it is not trusted.
        case accept
        /// It is delivered, and a log line says so, at most once a second.
        case warn
        /// It is counted and not delivered, and a log line says so, at most once a second. A durable subscription
        /// stores it as a dead letter.
        case reject
    }

    /// The header field that carries a signature.
    public static let header = "Mesh-Signature"

    /// Verifies the signatures.
    public var verifier: any EventVerifier
    /// What to do with an event that is not signed by its node.
    public var policy: Policy

    /// Creates a verification.
    public init(_ verifier: some EventVerifier, policy: Policy = .reject) {
        self.verifier = verifier
        self.policy = policy
    }
}
