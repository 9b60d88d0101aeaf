import Foundation

/// Thrown when standard output has no reader any more, or a stop was requested. The command then ends without a
/// failure.
struct OutputClosed: Error {}

/// Writes whole lines to a file descriptor, unbuffered. It gives up when a stop is requested, so that a stalled reader
/// cannot keep a command from ending.
struct LineOutput: Sendable {
    let descriptor: Int32
    let stop: StopRequest?
    /// Its name in messages.
    var name = "standard output"

    static func standard(stop: StopRequest? = nil) -> LineOutput {
        LineOutput(descriptor: STDOUT_FILENO, stop: stop)
    }

    /// Writes a line and a line break.
    ///
    /// - Throws: `OutputClosed`; `CommandFailure` for other errors, such as a full disk.
    func write(_ line: String) throws {
        var text = line
        text.append("\n")
        try text.withUTF8 { try write(UnsafeRawBufferPointer($0)) }
    }

    /// Writes the bytes unchanged and a line break; on a terminal, unsafe characters are escaped.
    ///
    /// - Throws: as ``write(_:)``.
    func write(raw bytes: some Sequence<UInt8>) throws {
        if Terminal(descriptor: descriptor).isTerminal {
            return try write(SafeText.escaped(String(decoding: Array(bytes), as: UTF8.self)))
        }
        try (Array(bytes) + [UInt8(ascii: "\n")]).withUnsafeBytes { try write($0) }
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            try waitUntilWritable()
            // A pipe that has room takes this much without blocking (PIPE_BUF).
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(4096))
            let count = Foundation.write(descriptor, piece.baseAddress, piece.count)
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno == EPIPE {
                throw OutputClosed()
            } else if errno != EINTR && errno != EAGAIN {
                let reason = String(cString: strerror(errno))
                throw CommandFailure(.internalError, "cannot write to \(name): \(reason)")
            }
        }
    }

    private func waitUntilWritable() throws {
        while true {
            var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            let count = poll(&entry, 1, 100)
            if count > 0 || count < 0 && errno != EINTR { return }
            if stop?.reason != nil { throw OutputClosed() }
        }
    }
}

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
