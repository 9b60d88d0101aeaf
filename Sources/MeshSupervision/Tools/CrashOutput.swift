import MeshEvents
import ProcessGuard

/// The last lines of a run, for `tool.crashed`: a pure value. Those of standard error, or of standard output when it wrote
/// none there.
struct CrashOutput: Sendable {
    /// How many lines `tool.crashed` has by default.
    static let standardLines = 20
    /// The most lines that can be asked for.
    static let maximumLines = 200
    /// The most bytes of all lines in `tool.crashed`.
    static let publishedBytes = 4 << 10
    /// The longest line there, in bytes.
    private static let publishedLineBytes = 1 << 10
    /// The most bytes that are kept before secrets are removed.
    private static let keptBytes = 64 << 10

    /// The last lines of one stream.
    private struct Tail: Sendable {
        var lines: [String] = []
        var bytes = 0
        /// Whether no line has more than white space.
        var isBlank: Bool { lines.allSatisfy { $0.allSatisfy(\.isWhitespace) } }

        mutating func append(_ line: String, limit: Int) {
            lines.append(line)
            bytes += line.utf8.count
            while lines.count > limit || bytes > CrashOutput.keptBytes, lines.count > 1 {
                bytes -= lines.removeFirst().utf8.count
            }
        }
    }

    private var standardOutput = Tail()
    private var standardError = Tail()
    private var limit = 0
    /// The redaction of the specification with which the run began.
    private var redaction = Redaction()

    /// Begins a run: what was written before does not belong to it.
    mutating func begin(limit: Int, redaction: Redaction) {
        (standardOutput, standardError) = (Tail(), Tail())
        self.limit = min(limit, Self.maximumLines)
        self.redaction = redaction
    }

    /// Takes a line.
    mutating func append(_ line: String, _ stream: ProcessOutput.Stream) {
        guard limit > 0 else { return }
        switch stream {
        case .stdout: standardOutput.append(line, limit: limit)
        case .stderr: standardError.append(line, limit: limit)
        }
    }

    /// The lines as they were written, oldest first. They may hold secrets.
    var lines: [String] { standardError.isBlank ? standardOutput.lines : standardError.lines }

    /// The lines as they may be published.
    ///
    /// - Parameter present: the redaction of the present specification, which may know other secrets than that of the
    ///   run.
    func published(_ present: Redaction) -> [String] {
        // Before they are cut: a part of a secret would not be recognised.
        OutputTail(lines: limit, bytes: Self.publishedBytes, lineBytes: Self.publishedLineBytes)
            .applied(to: LineRedactor.redacted(lines, [redaction, present]))
    }
}
