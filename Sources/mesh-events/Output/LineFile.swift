import Foundation

/// Writes lines to a file or to standard output, many at a time.
struct LineFile {
    private let output: LineOutput
    private let path: String?
    private var pending = ""
    private var count = 0

    /// Creates the file, or empties it; `-` is standard output.
    ///
    /// - Throws: `CommandFailure`, usage, when it cannot be written.
    init(path: String, stop: StopRequest) throws {
        guard path != "-" else {
            output = .standard(stop: stop)
            self.path = nil
            return
        }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw CommandFailure(.usage, "cannot write \(path): \(String(cString: strerror(errno)))")
        }
        output = LineOutput(descriptor: descriptor, stop: stop, name: path)
        self.path = path
    }

    /// Writes to an output that is open already.
    init(_ output: LineOutput) {
        self.output = output
        path = nil
    }

    /// Adds a line.
    mutating func write(_ line: String) throws {
        if count > 0 { pending.append("\n") }
        pending.append(line)
        count += 1
        if pending.utf8.count >= 32_768 { try flush() }
    }

    /// Writes the lines that wait.
    mutating func flush() throws {
        guard count > 0 else { return }
        let text = pending
        (pending, count) = ("", 0)
        try output.write(text)
    }

    /// Writes the lines that wait, syncs them to the disk and closes the file.
    mutating func close() throws {
        try flush()
        guard let path else { return }
        guard fsync(output.descriptor) == 0 || errno == EINVAL, Foundation.close(output.descriptor) == 0 else {
            throw CommandFailure(.internalError, "cannot write \(path): \(String(cString: strerror(errno)))")
        }
    }
}
