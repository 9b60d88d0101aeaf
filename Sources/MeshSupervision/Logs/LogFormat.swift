import MeshEvents

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The text of a log's files.
///
/// A file begins with a line that names the format, the log's epoch, and the number of the file's first record. Then
/// each line is a record: the time in UTC with microseconds, a word, and the line. A record that does not end with a
/// line break was not written completely, and does not count.
enum LogFormat {
    private static let name = "mesh-events-log 1"
    /// The longest first line, in bytes.
    static let maximumHeader = 96
    /// The bytes of a time: `2026-11-24T09:04:34.016710Z`.
    static let timeBytes = 27
    /// The bytes of a record besides its line: time, word, two spaces, line break.
    static let overhead = 34

    struct Header: Sendable, Equatable {
        let epoch: String
        let first: UInt64
        /// How many bytes it takes, its line break included.
        let length: Int
    }

    static func header(epoch: String, first: UInt64) -> [UInt8] { Array("\(name) \(epoch) \(first)\n".utf8) }

    /// Reads the first line of a file; `nil` when it is none of a log.
    static func header(_ bytes: UnsafeRawBufferPointer) -> Header? {
        guard let end = bytes.prefix(maximumHeader).firstIndex(of: 10) else { return nil }
        let words = String(decoding: bytes[..<end], as: UTF8.self).split(separator: " ")
        guard words.count == 4, words[0] + " " + words[1] == name, let first = UInt64(words[3]),
            LogSegment.numbers.contains(first),
            !words[2].isEmpty, words[2].utf8.count <= 32
        else { return nil }
        return Header(epoch: String(words[2]), first: first, length: end + 1)
    }

    /// A name for a new log, which no other has.
    static func makeEpoch() -> String {
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    static func word(_ stream: LogRecord.Stream) -> StaticString {
        switch stream {
        case .stdout: "out"
        case .stderr: "err"
        case .node: "node"
        }
    }

    /// The word of a record about missing lines; a number follows.
    static let dropped: StaticString = "drop"
}

/// Writes times of records. Within a second, only the last digits are written anew.
struct LogTimeWriter: Sendable {
    private var second = Int64.min
    /// `2026-11-24T09:04:34.`
    private var prefix: [UInt8] = []

    mutating func append(_ time: Timestamp, to buffer: inout [UInt8]) {
        var (second, nanoseconds) = time.nanosecondsSinceEpoch.quotientAndRemainder(dividingBy: 1_000_000_000)
        if nanoseconds < 0 { (second, nanoseconds) = (second - 1, nanoseconds + 1_000_000_000) }
        if second != self.second {
            self.second = second
            let text = Timestamp(nanosecondsSinceEpoch: time.nanosecondsSinceEpoch - nanoseconds).description
            prefix = Array(text.utf8.prefix(19)) + [UInt8(ascii: ".")]
        }
        buffer.append(contentsOf: prefix)
        var microseconds = nanoseconds / 1_000
        var divisor: Int64 = 100_000
        for _ in 0..<6 {
            buffer.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: microseconds / divisor))
            microseconds %= divisor
            divisor /= 10
        }
        buffer.append(UInt8(ascii: "Z"))
    }

    /// The text of a time as records have it: texts are in the order of their times.
    static func text(_ time: Timestamp) -> [UInt8] {
        var (writer, text) = (LogTimeWriter(), [UInt8]())
        writer.append(time, to: &text)
        return text
    }
}

/// A record in place, within the bytes of its file.
struct RawLogRecord {
    let number: UInt64
    /// The time's text; empty when the record cannot be read.
    let time: UnsafeRawBufferPointer
    let stream: LogRecord.Stream
    let line: UnsafeRawBufferPointer
    let dropped: UInt64
    let isReadable: Bool

    /// Reads a line of a file, which has no line break.
    static func read(_ bytes: UnsafeRawBufferPointer, number: UInt64) -> RawLogRecord {
        let rest = bytes.dropFirst(LogFormat.timeBytes)
        guard bytes.count > LogFormat.timeBytes + 1, bytes[LogFormat.timeBytes - 1] == UInt8(ascii: "Z"),
            rest.first == UInt8(ascii: " "),
            let end = rest.dropFirst().prefix(6).firstIndex(of: UInt8(ascii: " "))
        else { return damaged(number) }
        let time = UnsafeRawBufferPointer(rebasing: bytes.prefix(LogFormat.timeBytes))
        let line = UnsafeRawBufferPointer(rebasing: bytes[(end + 1)...])
        let word = UnsafeRawBufferPointer(rebasing: rest.dropFirst().prefix(upTo: end))
        func record(_ stream: LogRecord.Stream, dropped: UInt64) -> RawLogRecord {
            RawLogRecord(number: number, time: time, stream: stream, line: line, dropped: dropped, isReadable: true)
        }
        if isSame(word, LogFormat.dropped) {
            let digits = line.prefix { $0 >= 0x30 && $0 <= 0x39 }
            return record(.node, dropped: UInt64(String(decoding: digits, as: UTF8.self)) ?? 0)
        }
        let stream = LogRecord.Stream.allCases.first { isSame(word, LogFormat.word($0)) }
        return stream.map { record($0, dropped: 0) } ?? damaged(number)
    }

    /// A record that cannot be read.
    static func damaged(_ number: UInt64) -> RawLogRecord {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        return RawLogRecord(number: number, time: none, stream: .node, line: none, dropped: 0, isReadable: false)
    }

    /// A copy; the text with bytes that are no UTF-8 replaced.
    var record: LogRecord {
        guard isReadable, let time = try? Timestamp(rfc3339: String(decoding: self.time, as: UTF8.self)) else {
            return LogRecord(number: number, time: .epoch, stream: .node, line: "a damaged record", dropped: 1)
        }
        return LogRecord(
            number: number,
            time: time,
            stream: stream,
            line: String(decoding: line, as: UTF8.self),
            dropped: dropped
        )
    }

    private static func isSame(_ word: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        word.count == text.utf8CodeUnitCount
            && word.elementsEqual(
                UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
            )
    }
}

/// A file of a log, by its name.
struct LogSegment: Sendable, Equatable {
    private static let suffix = ".log"
    private static let digits = 20
    /// The numbers that the first record of a file can have. A log that comes near their end begins anew.
    static let numbers: ClosedRange<UInt64> = 1...(1 << 61)
    /// From this number on no file is begun.
    static let lastNumber: UInt64 = 1 << 60

    /// The number of its first record.
    let first: UInt64

    static func path(_ first: UInt64, in directory: String) -> String {
        let number = String(first)
        return "\(directory)/\(String(repeating: "0", count: max(0, digits - number.utf8.count)))\(number)\(suffix)"
    }

    /// The files of a directory, oldest first; none when it cannot be read.
    static func all(in directory: String) -> [LogSegment] {
        let segments = LogDirectory.names(in: directory).compactMap { name -> LogSegment? in
            guard name.hasSuffix(suffix), name.utf8.count == digits + suffix.utf8.count,
                let first = UInt64(name.dropLast(suffix.count)), numbers.contains(first)
            else { return nil }
            return LogSegment(first: first)
        }
        return segments.sorted { $0.first < $1.first }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether these bytes contain others.
    func contains(_ part: UnsafeRawBufferPointer) -> Bool {
        guard let base = baseAddress, let wanted = part.baseAddress, let first = part.first else { return part.isEmpty }
        var index = 0
        while index + part.count <= count,
            let found = memchr(base + index, Int32(first), count - index - part.count + 1)
        {
            if memcmp(found, wanted, part.count) == 0 { return true }
            index = UnsafeRawPointer(found) - base + 1
        }
        return false
    }
}
