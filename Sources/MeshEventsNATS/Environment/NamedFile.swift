import FileReading
import NATSClient

/// A file that an option or an environment variable names.
struct NamedFile: Sendable {
    /// The variable's name.
    let variable: String
    private let option: String
    private let what: String
    private let isSecret: Bool

    /// - Parameters:
    ///   - option: the option's name.
    ///   - variable: the variable's name.
    ///   - what: what the file is, for messages.
    ///   - isSecret: whether only its owner may read it.
    init(_ option: String, _ variable: String, _ what: String, isSecret: Bool = false) {
        self.option = option
        self.variable = variable
        self.what = what
        self.isSecret = isSecret
    }

    /// Whether the variable names a file; an empty one names none.
    func isSet(in environment: [String: String]) -> Bool { environment[variable].map { !$0.isEmpty } ?? false }

    /// The path: the option's, or else the variable's; `nil` when neither is given.
    ///
    /// - Parameter given: the value of the option; `nil` when it is not given.
    /// - Throws: `invalidArgument` when one of the files cannot be read, or is a secret that others may read.
    func path(_ given: String?, in environment: [String: String]) throws(NATSError) -> String? {
        var path: String?
        if isSet(in: environment), let named = environment[variable] {
            if let problem = RegularFile(named).problem {
                throw NATSError(.invalidArgument, "\(variable) must hold the path of \(what), but \(named) \(problem)")
            }
            path = try checked(named, of: variable)
        }
        if let given {
            if let problem = RegularFile(given).problem {
                throw NATSError(.invalidArgument, "the file of \(option), \(given), \(problem)")
            }
            path = try checked(given, of: option)
        }
        return path
    }

    private func checked(_ path: String, of source: String) throws(NATSError) -> String {
        if isSecret { try SecretFile("file of \(source),", path).checkMode() }
        return path
    }
}
