/// All mistakes in a manifest, which make it unusable.
public struct ManifestError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One mistake.
    public struct Problem: Sendable, Hashable, CustomStringConvertible {
        /// The line, from 1; 0 for the file as a whole.
        public let line: Int
        /// The column, from 1; 0 for the file as a whole.
        public let column: Int
        /// What is wrong and what was expected.
        public let message: String

        /// `line:column: message`.
        public var description: String { line == 0 ? message : "\(line):\(column): \(message)" }
    }

    /// The file's name, as it was given.
    public let file: String
    /// The mistakes in the order of the file; at least one, at most 100.
    public let problems: [Problem]
    /// How many more mistakes there are.
    public let omitted: Int
    /// Whether the system could not read the file, so that nothing is known of mistakes in it, and it may be read later.
    package let isUnreadable: Bool

    package init(file: String, problems: [Problem], omitted: Int = 0, isUnreadable: Bool = false) {
        self.file = file
        self.omitted = omitted
        self.isUnreadable = isUnreadable
        self.problems = problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
    }

    package init(file: String, _ message: String, line: Int = 0, column: Int = 0, isUnreadable: Bool = false) {
        let problem = Problem(line: line, column: column, message: message)
        self.init(file: file, problems: [problem], isUnreadable: isUnreadable)
    }

    /// One line for each mistake: `mesh.yaml:7:5: unknown key 'comand'; did you mean 'command'?`.
    public var description: String {
        let more = omitted > 0 ? ["\(file): and \(omitted) more mistakes"] : []
        return (lines + more).joined(separator: "\n")
    }

    private var lines: [String] {
        problems.map { $0.line == 0 ? "\(file): \($0.message)" : "\(file):\($0)" }
    }
}
