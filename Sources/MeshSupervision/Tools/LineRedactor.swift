/// Removes secrets from output, line by line: those that a ``Redaction`` finds in a line, and keys in PEM blocks, which
/// span lines. A line stays a line.
struct LineRedactor: Sendable {
    private static let begin: StaticString = "-----BEGIN "
    private static let end: StaticString = "-----END "
    /// A run of so many characters of base64 belongs to a block, whatever stands beside it.
    private static let longRun = 40

    /// All are applied to each line.
    var redactions: [Redaction]
    /// Whether the lines before began a block that has not ended.
    private var isInBlock = false

    /// - Parameter redactions: all are applied to each line.
    init(_ redactions: [Redaction]) { self.redactions = redactions }

    /// The next line without secrets.
    mutating func redact(_ line: String) -> String {
        var line = line
        let isWithinBlock: Bool = line.withUTF8 { self.isWithinBlock(UnsafeRawBufferPointer($0)) }
        return redact(line, isWithinBlock: isWithinBlock)
    }

    /// Follows the lines without changing them; returns whether the next line is within a block.
    mutating func isWithinBlock(_ line: UnsafeRawBufferPointer) -> Bool {
        if isInBlock {
            if Self.contains(line, Self.end) {
                isInBlock = false
                return true
            }
            if Self.isBody(line) { return true }
            // The words about a block were in a message; or another writer's line is between those of the block.
            isInBlock = false
        }
        if Self.contains(line, Self.begin), !Self.contains(line, Self.end) { isInBlock = true }
        return false
    }

    /// A line without secrets, given what ``isWithinBlock(_:)`` said of it.
    func redact(_ line: String, isWithinBlock: Bool) -> String {
        if line.isEmpty { return line }
        if isWithinBlock || Self.isEncoded(line) { return Redaction.placeholder }
        return redactions.reduce(line) { $1.redact($0) }
    }

    /// All lines without secrets, also of a block whose beginning is missing. Lines of nothing else than a block are one.
    static func redacted(_ lines: [String], _ redactions: [Redaction]) -> [String] {
        var lines = lines
        if let end = lines.firstIndex(where: { contains($0, Self.end) }),
            !lines[...end].contains(where: { contains($0, Self.begin) })
        {
            var index = end
            while index > 0, isBody(lines[index - 1]) { index -= 1 }
            lines.replaceSubrange(index...end, with: [Redaction.placeholder])
        }
        var redactor = LineRedactor(redactions)
        var result: [String] = []
        for line in lines {
            let line = redactor.redact(line)
            if line == Redaction.placeholder, result.last == line { continue }
            result.append(line)
        }
        return result
    }

    private static func contains(_ line: String, _ part: StaticString) -> Bool {
        var line = line
        return line.withUTF8 { contains(UnsafeRawBufferPointer($0), part) }
    }

    private static func contains(_ line: UnsafeRawBufferPointer, _ part: StaticString) -> Bool {
        line.contains(UnsafeRawBufferPointer(start: part.utf8Start, count: part.utf8CodeUnitCount))
    }

    private static func isBody(_ line: String) -> Bool {
        var line = line
        return line.withUTF8 { isBody(UnsafeRawBufferPointer($0)) }
    }

    /// Whether a line may be one within a block: base64, a field of the block's head, or nothing.
    private static func isBody(_ line: UnsafeRawBufferPointer) -> Bool {
        let run = longestRun(line)
        return run.length == line.count || run.length >= longRun || line.starts(with: "Proc-Type:".utf8)
            || line.starts(with: "DEK-Info:".utf8)
    }

    /// Whether a line is nothing but a long piece of base64, as in the middle of a key.
    private static func isEncoded(_ line: String) -> Bool {
        guard line.utf8.count >= longRun else { return false }
        var line = line
        return line.withUTF8 { bytes in
            let run = longestRun(UnsafeRawBufferPointer(bytes))
            return run.length == bytes.count && run.isMixed
        }
    }

    /// The longest run of characters of base64, and whether the line has upper case, lower case and digits.
    private static func longestRun(_ line: UnsafeRawBufferPointer) -> (length: Int, isMixed: Bool) {
        var (longest, length) = (0, 0)
        var (hasUpper, hasLower, hasDigit) = (false, false, false)
        for byte in line {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): hasUpper = true
            case UInt8(ascii: "a")...UInt8(ascii: "z"): hasLower = true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): hasDigit = true
            case UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="): break
            default:
                length = 0
                continue
            }
            length += 1
            longest = max(longest, length)
        }
        return (longest, hasUpper && hasLower && hasDigit)
    }
}
