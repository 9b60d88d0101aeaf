import FileReading
import NATSClient

/// A file that an environment variable names.
struct EnvironmentFile {
    private let variable: String
    private let what: String

    /// - Parameter what: what the file is, for messages.
    init(_ variable: String, _ what: String) {
        self.variable = variable
        self.what = what
    }

    /// The path; `nil` when the variable is not set, or empty.
    ///
    /// - Throws: `invalidArgument` when the file cannot be read.
    func path(in environment: [String: String]) throws(NATSError) -> String? {
        guard let path = environment[variable], !path.isEmpty else { return nil }
        if let problem = RegularFile(path).problem {
            throw NATSError(.invalidArgument, "\(variable) must hold the path of \(what), but \(path) \(problem)")
        }
        return path
    }
}
