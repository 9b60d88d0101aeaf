/// How the signatures of events that arrive are looked at.
public struct SignatureVerification: Sendable {
    /// What becomes of an event that is not signed by its node.
    public enum Policy: String, Sendable, CaseIterable {
        /// It is delivered; ``Event/signature`` says what it is.
        case accept
        /// The same, and a line in the log, at most once a second.
        case warn
        /// It is not delivered: it is counted, and a line in the log says so, at most once a second. A durable
        /// subscription gives it up, so that it is a dead letter.
        case reject
    }

    /// The header field that carries a signature.
    public static let header = "Mesh-Signature"

    /// Who judges.
    public var verifier: any EventVerifier
    /// What becomes of an event that is not signed by its node.
    public var policy: Policy

    /// Creates a verification.
    public init(_ verifier: some EventVerifier, policy: Policy = .reject) {
        self.verifier = verifier
        self.policy = policy
    }
}
