import MeshLogging

/// Why a key, a seed or a credentials file cannot be used. No message contains a seed.
public struct NKeyError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure this is; stable, meant for `switch`.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code's name, as it appears in logs.
        public let description: String

        private init(_ description: String) { self.description = description }

        /// A text that is not a seed.
        public static let invalidSeed = Code("invalidSeed")
        /// A text that is not a public key.
        public static let invalidPublicKey = Code("invalidPublicKey")
        /// A credentials file that cannot be read, or has no JWT or no seed.
        public static let invalidCredentials = Code("invalidCredentials")
        /// The system's cryptography could not sign.
        public static let signingFailed = Code("signingFailed")
    }

    /// What kind of failure this is.
    public let code: Code
    /// One sentence on what happened and what to do.
    public let message: String
    /// The error that caused this one.
    public let underlying: (any Error)?

    /// Creates an error. Characters of the message that could harm a terminal or a log are escaped.
    public init(_ code: Code, _ message: String, underlying: (any Error)? = nil) {
        self.code = code
        self.message = message.harmless
        self.underlying = underlying
    }

    /// The code and the message; the underlying error when there is one.
    public var description: String {
        guard let underlying else { return "\(code): \(message)" }
        return "\(code): \(message) (\(underlying))"
    }
}
