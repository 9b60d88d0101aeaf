/// What a process said.
package enum ProcessOutput: Sendable, Hashable {
    /// Where a line came from.
    package enum Stream: String, Sendable, Hashable {
        /// Standard output.
        case stdout
        /// Standard error.
        case stderr
    }

    /// A line, without its end. One that is too long is cut and says so.
    case line(Stream, String)
    /// So many lines were left out, since there were too many at once.
    case dropped(Int)
}

/// How much of what a process says is kept.
package struct OutputLimits: Sendable, Hashable {
    /// The longest line, in bytes; the rest of a longer one is cut. The default is 8 KiB.
    package var lineLength = 8 << 10
    /// The most lines in a second; the default is 1 000.
    package var linesPerSecond = 1_000
    /// The most bytes in a second; the default is 1 MiB.
    package var bytesPerSecond = 1 << 20

    /// The defaults.
    package init() {}
}
