import Dispatch
import Foundation

/// Reads lines from a file or standard input without blocking other tasks.
struct LineReader {
    /// A line with its number, from 1.
    struct Line {
        let number: Int
        let bytes: ArraySlice<UInt8>
    }

    /// The longest line, in bytes; a longer one is no event.
    static let maximumLength = 64 << 20

    private let descriptor: Int32
    private let name: String
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
    /// - Throws: `CommandFailure`, usage, when it cannot be opened.
    init(path: String) throws {
        name = path == "-" ? "standard input" : path
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
    mutating func next() async throws -> Line? {
        while true {
            guard let line = try await nextLine() else { return nil }
            if line.bytes.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) { return line }
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
            guard buffer.count - start <= Self.maximumLength else {
                throw CommandFailure(.badData, "line \(number + 1) of \(name) is longer than 64 MiB; is it NDJSON?")
            }
            try await fill()
        }
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
        let descriptor = descriptor
        let name = name
        let chunk: [UInt8] = try await withCheckedThrowingContinuation { continuation in
            queue.async {
                var chunk = [UInt8](repeating: 0, count: 65_536)
                var count: Int
                repeat { count = read(descriptor, &chunk, chunk.count) } while count < 0 && errno == EINTR
                guard count >= 0 else {
                    let reason = String(cString: strerror(errno))
                    continuation.resume(throwing: CommandFailure(.usage, "cannot read \(name): \(reason)"))
                    return
                }
                continuation.resume(returning: Array(chunk.prefix(count)))
            }
        }
        isAtEnd = chunk.isEmpty
        buffer += chunk
        bytesRead += chunk.count
    }
}
