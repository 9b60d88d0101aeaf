/// Why users or certificates could not be made or read, with a sentence that says what to do.
public struct MeshAuthError: Error, Sendable, CustomStringConvertible {
    /// What went wrong.
    public enum Code: String, Sendable {
        /// A directory that is in use already, or a user who is there already.
        case alreadyExists
        /// No such directory, file or user.
        case notFound
        /// A user's or host's name that cannot be one.
        case invalidName
        /// A file that is not what it should be.
        case invalidFile
        /// A file that cannot be read or written, or that others may read.
        case fileAccess
        /// A key or certificate could not be made.
        case cryptography
    }

    /// What went wrong.
    public let code: Code
    /// A sentence for people: what went wrong and what to do; never a secret.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
