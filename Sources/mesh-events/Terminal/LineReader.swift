import Dispatch
import Foundation

/// Reads lines from a file or standard input without blocking other tasks. Reading ends when the task is cancelled.
struct LineReader {
    /// A line with its number, from 1.
    struct Line {
        let number: Int
        let bytes: ArraySlice<UInt8>
        /// Whether it was too long, so that its bytes were left out.
        var isTooLong = false
    }

    /// What to do with a line that is too long.
    enum LongLines {
        /// Throw: such a file is no file of lines.
        case fail
        /// Read over it, and give a line without bytes.
        case leaveOut
    }

    /// The longest line, in bytes; a longer one is no event.
    static let maximumLength = 64 << 20

    private let descriptor: Int32
    private let name: String
    private let longest: Int
    private let longLines: LongLines
    private let interruption = Interruption()
    private let queue = DispatchQueue(label: "mesh-events.input")
    private var buffer: [UInt8] = []
    private var start = 0
    private var searched = 0
    private var number = 0
    private var isAtEnd = false
    private var bytesRead = 0

    /// How many bytes the lines so far have taken.
    var consumed: Int { bytesRead - (buffer.count - start) }

    /// Opens a file, or standard input for `-`.
    ///
    /// - Parameters:
    ///   - path: the file.
    ///   - longest: how long a line may be, in bytes; one may be longer by what a read brings, 64 KiB.
    ///   - longLines: what to do with a line that is longer.
    /// - Throws: `CommandFailure`, usage, when it cannot be opened.
    init(path: String, longest: Int = maximumLength, longLines: LongLines = .fail) throws {
        name = path == "-" ? "standard input" : path
        self.longest = longest
        self.longLines = longLines
        guard path != "-" else {
            descriptor = STDIN_FILENO
            return
        }
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CommandFailure(.usage, "cannot read \(path): \(String(cString: strerror(errno)))")
        }
    }

    /// The next line that is not blank, without its line break; `nil` at the end.
    ///
    /// - Throws: `CommandFailure`; `CancellationError` when the task is cancelled.
    mutating func next() async throws -> Line? {
        while true {
            guard let line = try await nextLine() else { return nil }
            if line.isTooLong || line.bytes.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) { return line }
        }
    }

    /// Closes the file.
    func close() {
        if descriptor != STDIN_FILENO { _ = Foundation.close(descriptor) }
    }

    private mutating func nextLine() async throws -> Line? {
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer {
                    start = end + 1
                    searched = start
                }
                return line(buffer[start..<end])
            }
            searched = buffer.count
            if isAtEnd {
                guard start < buffer.count else { return nil }
                defer { start = buffer.count }
                return line(buffer[start...])
            }
            guard buffer.count - start <= longest else {
                guard longLines == .leaveOut else {
                    throw CommandFailure(
                        .badData,
                        "line \(number + 1) of \(name) is longer than \(longest >> 20) MiB; is it NDJSON?"
                    )
                }
                return try await readOver()
            }
            try await fill()
        }
    }

    /// Reads to the end of the present line, and keeps nothing of it.
    private mutating func readOver() async throws -> Line {
        number += 1
        while true {
            (start, searched) = (buffer.count, buffer.count)
            if isAtEnd { break }
            try await fill()
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                (start, searched) = (end + 1, end + 1)
                break
            }
        }
        return Line(number: number, bytes: [], isTooLong: true)
    }

    private mutating func line(_ bytes: ArraySlice<UInt8>) -> Line {
        number += 1
        // Some editors begin files with a byte order mark.
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        return Line(number: number, bytes: number == 1 && bytes.starts(with: mark) ? bytes.dropFirst(3) : bytes)
    }

    private mutating func fill() async throws {
        buffer.removeSubrange(..<start)
        searched -= start
        start = 0
        let (descriptor, name, interruption) = (descriptor, name, interruption)
        let chunk: [UInt8] = try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                queue.async {
                    continuation.resume(
                        with: Result {
                            try interruption.waitUntilReadable(descriptor)
                            var chunk = [UInt8](repeating: 0, count: 65_536)
                            var count: Int
                            repeat { count = read(descriptor, &chunk, chunk.count) } while count < 0 && errno == EINTR
                            guard count >= 0 else {
                                let reason = String(cString: strerror(errno))
                                throw CommandFailure(.usage, "cannot read \(name): \(reason)")
                            }
                            return Array(chunk.prefix(count))
                        }
                    )
                }
            }
        } onCancel: {
            interruption.interrupt()
        }
        isAtEnd = chunk.isEmpty
        buffer += chunk
        bytesRead += chunk.count
    }
}

/// Ends the waiting for input, which may never come.
private final class Interruption: Sendable {
    /// A pipe; -1 when the process has no descriptor left for it.
    private let ends: (read: Int32, write: Int32)

    init() {
        var ends: [Int32] = [-1, -1]
        if pipe(&ends) == 0 {
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        }
        self.ends = (ends[0], ends[1])
    }

    deinit {
        for end in [ends.read, ends.write] where end >= 0 { _ = Foundation.close(end) }
    }

    /// Ends the present waiting, and every later one.
    func interrupt() {
        var byte: UInt8 = 0
        _ = write(ends.write, &byte, 1)
    }

    /// Waits, on this thread, until a descriptor has something to read, or has ended.
    ///
    /// - Throws: `CancellationError` once it is interrupted.
    func waitUntilReadable(_ descriptor: Int32) throws {
        // A negative descriptor is left out by poll.
        var entries = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: ends.read, events: Int16(POLLIN), revents: 0),
        ]
        while poll(&entries, 2, -1) < 0, errno == EINTR {}
        if entries[1].revents != 0 { throw CancellationError() }
    }
}
