/// Why users or certificates could not be made or read; the message says what to do.
public struct MeshAuthError: Error, Sendable, CustomStringConvertible {
    /// What went wrong.
    public enum Code: String, Sendable {
        /// The directory already has users, or the user already exists.
        case alreadyExists
        /// No such directory, file or user.
        case notFound
        /// A name that cannot be one of a user or a host.
        case invalidName
        /// A file with invalid contents.
        case invalidFile
        /// A file that cannot be read or written, or that other users may read.
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
