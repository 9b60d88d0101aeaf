/// A piece of a process's output.
package enum ProcessOutput: Sendable, Hashable {
    /// The stream that a line came from.
    package enum Stream: String, Sendable, Hashable {
        /// Standard output.
        case stdout
        /// Standard error.
        case stderr
    }

    /// A line, without its line break. A line that is too long is cut, and its text says so.
    case line(Stream, String)
    /// The number of lines that were dropped, because there were too many at once.
    case dropped(Int)
}

/// How much of a process's output is passed on.
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
