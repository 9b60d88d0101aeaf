/// Why a manifest cannot be used: all mistakes in it.
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
    /// The mistakes in the order of the file; at least one.
    public let problems: [Problem]

    init(file: String, problems: [Problem]) {
        self.file = file
        self.problems = problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
    }

    init(file: String, _ message: String, line: Int = 0, column: Int = 0) {
        self.init(file: file, problems: [Problem(line: line, column: column, message: message)])
    }

    /// One line for each mistake: `mesh.yaml:7:5: unknown key 'comand'; did you mean 'command'?`.
    public var description: String {
        problems.map { $0.line == 0 ? "\(file): \($0.message)" : "\(file):\($0)" }.joined(separator: "\n")
    }
}
