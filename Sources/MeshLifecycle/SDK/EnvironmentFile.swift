import FileReading
import NATSClient

/// A file that an environment variable names.
struct EnvironmentFile {
    private let variable: String
    private let what: String
    private let isSecret: Bool

    /// - Parameters:
    ///   - what: what the file is, for messages.
    ///   - isSecret: whether only its owner may read it.
    init(_ variable: String, _ what: String, isSecret: Bool = false) {
        self.variable = variable
        self.what = what
        self.isSecret = isSecret
    }

    /// The path; `nil` when the variable is not set, or empty.
    ///
    /// - Throws: `invalidArgument` when the file cannot be read, or is a secret that others may read.
    func path(in environment: [String: String]) throws(NATSError) -> String? {
        guard let path = environment[variable], !path.isEmpty else { return nil }
        if let problem = RegularFile(path).problem {
            throw NATSError(.invalidArgument, "\(variable) must hold the path of \(what), but \(path) \(problem)")
        }
        if isSecret { try SecretFile("file of \(variable),", path).checkMode() }
        return path
    }
}
