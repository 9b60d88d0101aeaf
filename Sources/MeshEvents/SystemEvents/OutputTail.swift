/// Limits for the last lines of an output. What they cut is said in the text.
package struct OutputTail: Sendable {
    /// The most lines.
    private let lines: Int
    /// The most bytes of all lines, each with its line break.
    private let bytes: Int
    /// The longest line in bytes; the middle of a longer one is cut.
    private let lineBytes: Int
    /// The bytes that the line about earlier lines takes at most.
    private static let note = 64

    /// The limits for what others have written.
    static let ofStrangers = OutputTail(lines: 1_000, bytes: 64 << 10, lineBytes: 8 << 10)

    /// Creates limits.
    ///
    /// - Parameters:
    ///   - lines: the most lines.
    ///   - bytes: the most bytes of all lines.
    ///   - lineBytes: the longest line in bytes.
    package init(lines: Int, bytes: Int, lineBytes: Int) {
        self.lines = lines
        self.bytes = bytes
        self.lineBytes = min(lineBytes, max(0, bytes - Self.note))
    }

    /// The last lines within the limits. When there are earlier ones, a first line says how many.
    package func applied(to all: [String]) -> [String] {
        var kept: [String] = []
        var left = bytes
        for line in all.suffix(lines).reversed() {
            let line = line.abridged(bytes: lineBytes)
            // The room for the note is needed unless this is the first line of all.
            let reserve = kept.count + 1 == all.count ? 0 : Self.note
            guard line.utf8.count + 1 + reserve <= left else { break }
            left -= line.utf8.count + 1
            kept.append(line)
        }
        let omitted = all.count - kept.count
        if omitted > 0 { kept.append("… \(omitted) earlier \(omitted == 1 ? "line" : "lines") left out") }
        return kept.reversed()
    }
}
