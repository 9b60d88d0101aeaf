#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Splits bytes into lines, in bounded memory even for an endless line.
///
/// A line is what a terminal shows when it ends: what comes after a carriage return replaces what was there. So a progress
/// bar is one line, its last picture. Of a line that is too long, the beginning and the end are kept: its end often says
/// most. A word that would be kept in part is left out: it may be a secret, which is not recognised then.
package struct LineSplitter: Sendable {
    /// The most bytes of the words about what was cut.
    private static let noteBytes = 40
    /// A longer word may be kept in part, in bytes.
    private static let longestWord = 256

    private let limit: Int
    /// How many bytes stay of the beginning of a line that is too long, and of its end.
    private let head: Int
    private let tail: Int
    /// The line so far; of one that is too long, its beginning and the latest bytes.
    private var kept: [UInt8] = []
    /// How many bytes the line has so far.
    private var length = 0
    /// Whether a carriage return came last: what follows replaces the line.
    private var isReturned = false
    /// Whether the line so far was passed on in a pause, and nothing of it has come since.
    private var isPassedOn = false

    /// Creates a splitter.
    ///
    /// - Parameter limit: The longest line, in bytes. Of a longer one the middle is cut, and the text says how much.
    package init(limit: Int) {
        self.limit = limit
        let room = max(limit - Self.noteBytes, limit / 2)
        head = room / 2
        tail = room - head
    }

    /// Takes bytes and calls `line` with each completed line.
    package mutating func append(_ bytes: UnsafeRawBufferPointer, _ line: (UnsafeRawBufferPointer) -> Void) {
        var start = 0
        var nextReturn = Self.first(13, in: bytes, from: 0) ?? bytes.count
        while start < bytes.count {
            let lineFeed = Self.first(10, in: bytes, from: start)
            let end = lineFeed ?? bytes.count
            while nextReturn < end {
                keep(UnsafeRawBufferPointer(rebasing: bytes[start..<nextReturn]))
                isReturned = true
                start = nextReturn + 1
                nextReturn = Self.first(13, in: bytes, from: start) ?? bytes.count
            }
            let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            if lineFeed != nil, piece.count <= limit, isWhole(piece) {
                // It is not copied.
                line(piece)
                restart()
                isPassedOn = false
            } else {
                keep(piece)
                if lineFeed != nil { endLine(line) }
            }
            start = end + 1
        }
    }

    /// Calls `line` with what there is of a line that has not ended, if there is anything. What comes next is another line;
    /// a character that has not come completely is left for that.
    package mutating func pause(_ line: (UnsafeRawBufferPointer) -> Void) {
        let incomplete = isReturned ? 0 : Self.incompleteCharacter(kept)
        guard length > incomplete else { return }
        let rest = Array(kept.suffix(incomplete))
        kept.removeLast(incomplete)
        length -= incomplete
        pass(line)
        restart()
        kept.append(contentsOf: rest)
        length = rest.count
        isPassedOn = true
    }

    /// Calls `line` with the rest after the last line break, if there is any.
    package mutating func finish(_ line: (UnsafeRawBufferPointer) -> Void) {
        if length > 0 { pass(line) }
        restart()
    }

    /// Whether a piece before a line break is all of its line.
    private func isWhole(_ piece: UnsafeRawBufferPointer) -> Bool {
        piece.isEmpty ? length == 0 && !isPassedOn : length == 0 || isReturned
    }

    private mutating func keep(_ piece: UnsafeRawBufferPointer) {
        guard !piece.isEmpty else { return }
        if isReturned { restart() }
        isPassedOn = false
        length += piece.count
        guard kept.count + piece.count > 2 * limit else {
            kept.append(contentsOf: piece)
            return
        }
        let missing = max(0, head - kept.count)
        kept.append(contentsOf: piece.prefix(missing))
        // Of the rest only the end counts.
        let rest = piece.dropFirst(missing)
        kept.removeSubrange(head..<max(head, kept.count - max(0, tail - rest.count)))
        kept.append(contentsOf: rest.suffix(tail))
    }

    private mutating func endLine(_ line: (UnsafeRawBufferPointer) -> Void) {
        // The mere end of what was passed on is no line.
        if length > 0 || !isPassedOn { pass(line) }
        isPassedOn = false
        restart()
    }

    private mutating func restart() {
        isReturned = false
        guard length > 0 else { return }
        kept.removeAll(keepingCapacity: true)
        length = 0
    }

    private func pass(_ line: (UnsafeRawBufferPointer) -> Void) {
        guard length > limit else { return kept.withUnsafeBytes { line($0) } }
        var first = kept.prefix(head)
        first.removeLast(Self.incompleteCharacter(first))
        first = Self.withoutLastWord(first)
        var last = kept.dropFirst(head).suffix(tail)
        // The end of a character whose beginning is cut.
        last.removeFirst(last.prefix(3).prefix { $0 & 0xC0 == 0x80 }.count)
        last = Self.withoutFirstWord(last)
        let note = " … \(length - first.count - last.count) bytes cut … "
        (first + Array(note.utf8) + last).withUnsafeBytes { line($0) }
    }

    /// The beginning of a text that was cut, without the word in which it was cut; with it when that is very long or
    /// nothing is before it.
    package static func withoutLastWord(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        bytes.suffix(longestWord).lastIndex { !isWord($0) }.map { bytes[...$0] } ?? bytes
    }

    /// The end of a text that was cut, without the word in which it was cut.
    private static func withoutFirstWord(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        bytes.prefix(longestWord).firstIndex { !isWord($0) }.map { bytes[$0...] } ?? bytes
    }

    /// Whether a byte may be one of a key or a token, also of one in base64 or with escapes.
    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...:
            true
        default: "+/=_.-~%\\".utf8.contains(byte)
        }
    }

    private static func first(_ byte: Int32, in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        guard start < bytes.count, let base = bytes.baseAddress else { return nil }
        return memchr(base + start, byte, bytes.count - start).map { UnsafeRawPointer($0) - base }
    }

    /// How many bytes at the end begin a character (UTF-8) that is not complete.
    private static func incompleteCharacter(_ bytes: some BidirectionalCollection<UInt8>) -> Int {
        for (index, byte) in bytes.suffix(3).reversed().enumerated() where byte & 0xC0 != 0x80 {
            let length =
                switch byte {
                case 0xC2...0xDF: 2
                case 0xE0...0xEF: 3
                case 0xF0...0xF4: 4
                default: 1
                }
            return length > index + 1 ? index + 1 : 0
        }
        return 0
    }
}
