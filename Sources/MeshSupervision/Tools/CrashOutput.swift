import MeshEvents

/// The last lines of a run's standard error, for `tool.crashed`: a pure value.
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

    private var lines: [String] = []
    private var bytes = 0
    private var limit = 0
    /// The redaction of the specification with which the run began.
    private var redaction = Redaction()

    /// Begins a run: what was written before does not belong to it.
    mutating func begin(limit: Int, redaction: Redaction) {
        (lines, bytes) = ([], 0)
        self.limit = min(limit, Self.maximumLines)
        self.redaction = redaction
    }

    /// Takes a line of standard error.
    mutating func append(_ line: String) {
        guard limit > 0 else { return }
        lines.append(line)
        bytes += line.utf8.count
        while lines.count > limit || bytes > Self.keptBytes, lines.count > 1 { bytes -= lines.removeFirst().utf8.count }
    }

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
