import MeshJSON

extension EventFilter {
    /// Whether an event passes.
    public func matches(_ event: Event) -> Bool {
        conditions.isEmpty
            || event.data.withBytes { bytes in
                let navigator = JSONNavigator(bytes: bytes)
                return conditions.allSatisfy { condition in
                    if let field = navigator.field(at: condition.path, end: bytes.count) {
                        return condition.test.holds(field, in: navigator)
                    }
                    guard let own = condition.ownField(of: event) else { return condition.test.holdsForNothing }
                    return condition.test.holds(forText: own)
                }
            }
    }

    /// Whether an event with this data passes, whatever its type and node are.
    public func matches(_ data: EventData) -> Bool {
        conditions.isEmpty
            || data.withBytes { bytes in
                let navigator = JSONNavigator(bytes: bytes)
                return conditions.allSatisfy { condition in
                    guard let field = navigator.field(at: condition.path, end: bytes.count) else {
                        return condition.test.holdsForNothing
                    }
                    return condition.test.holds(field, in: navigator)
                }
            }
    }
}

extension EventFilter.Condition {
    /// What the event itself has under the name of the field.
    fileprivate func ownField(of event: Event) -> String? {
        guard path.count == 1 else { return nil }
        switch path[0] {
        case "node": return event.affectedNode
        case "type": return event.type.rawValue
        default: return nil
        }
    }
}

extension JSONNavigator {
    /// Where the value is that a path leads to from the object that is the whole text; `nil` when there is none.
    fileprivate func field(at path: [String], end: Int) -> Range<Int>? {
        var range = 0..<end
        for name in path {
            guard byte(at: range.lowerBound) == UInt8(ascii: "{"),
                let member = name.withBytes({ self.member(named: $0, ofObjectAt: range) })
            else { return nil }
            range = member
        }
        return range
    }
}

extension EventFilter.Test {
    /// Whether it holds for a field that is absent.
    fileprivate var holdsForNothing: Bool {
        switch self {
        case .isAbsent, .differs, .isNoneOf: true
        case .isPresent, .equals, .isOneOf, .compares: false
        }
    }

    /// Whether it holds for a value.
    fileprivate func holds(_ value: Range<Int>, in navigator: JSONNavigator) -> Bool {
        switch self {
        case .isPresent: return navigator.byte(at: value.lowerBound) != UInt8(ascii: "n")
        case .isAbsent: return navigator.byte(at: value.lowerBound) == UInt8(ascii: "n")
        case .differs(let operand): return !Self.any(value, in: navigator) { operand.equals($0, in: navigator) }
        case .isNoneOf(let operands):
            return !Self.any(value, in: navigator) { value in operands.contains { $0.equals(value, in: navigator) } }
        case .equals(let operand): return Self.any(value, in: navigator) { operand.equals($0, in: navigator) }
        case .isOneOf(let operands):
            return Self.any(value, in: navigator) { value in operands.contains { $0.equals(value, in: navigator) } }
        case .compares(let order, let number):
            return Self.any(value, in: navigator) { order.holds(navigator.slice($0), number) }
        }
    }

    /// Whether it holds for a text.
    fileprivate func holds(forText text: String) -> Bool {
        switch self {
        case .isPresent: true
        case .isAbsent, .compares: false
        case .equals(let operand): operand.equals(text: text)
        case .differs(let operand): !operand.equals(text: text)
        case .isOneOf(let operands): operands.contains { $0.equals(text: text) }
        case .isNoneOf(let operands): !operands.contains { $0.equals(text: text) }
        }
    }

    /// Whether something holds for a value or, when that is a list, for one of its elements.
    private static func any(
        _ value: Range<Int>,
        in navigator: JSONNavigator,
        _ holds: (Range<Int>) -> Bool
    ) -> Bool {
        guard navigator.byte(at: value.lowerBound) == UInt8(ascii: "[") else { return holds(value) }
        var isFound = false
        navigator.forEachElement(ofArrayAt: value.lowerBound) { element in
            if !isFound { isFound = holds(element) }
        }
        return isFound
    }
}

extension EventFilter.Order {
    /// Whether the text of a value is a number that compares so.
    fileprivate func holds(_ text: UnsafeBufferPointer<UInt8>, _ number: JSONNumber) -> Bool {
        guard text.isNumber else { return false }
        if let right = number.storedInteger, let left = text.integer { return holds(left, right) }
        return holds(DecimalText.double(text), number.double)
    }

    private func holds<Value: Comparable>(_ left: Value, _ right: Value) -> Bool {
        switch self {
        case .less: left < right
        case .lessOrEqual: left <= right
        case .greater: left > right
        case .greaterOrEqual: left >= right
        }
    }
}

extension EventFilter.Operand {
    /// Whether a value is what this says.
    fileprivate func equals(_ value: Range<Int>, in navigator: JSONNavigator) -> Bool {
        let text = navigator.slice(value)
        guard text.first == UInt8(ascii: "\"") else {
            guard case .word(let word) = self else { return false }
            return word.withBytes { Self.equals(scalar: text, $0) }
        }
        // A string's bytes are those between the quotes, unless it holds an escape.
        guard text.contains(UInt8(ascii: "\\")) else {
            return equals(bytes: UnsafeBufferPointer(rebasing: text[1..<max(text.count - 1, 1)]))
        }
        return equals(text: navigator.string(at: value))
    }

    /// Whether a text is what this says.
    fileprivate func equals(text: String) -> Bool { text.withBytes { equals(bytes: $0) } }

    private func equals(bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        switch self {
        case .text(let text): text.withBytes { $0.hasSameBytes(as: bytes) }
        case .word(let word): word.withBytes { Glob.matches(bytes, $0) }
        }
    }

    /// Whether a number, a boolean or `null` is what a word spells.
    private static func equals(scalar text: UnsafeBufferPointer<UInt8>, _ word: UnsafeBufferPointer<UInt8>) -> Bool {
        if text.hasSameBytes(as: word) { return true }
        // `*` stands for any value.
        if word.count == 1, word[0] == UInt8(ascii: "*") { return text.first != UInt8(ascii: "n") }
        guard text.isNumber, word.spellsNumber else { return false }
        if let left = text.integer, let right = word.integer { return left == right }
        return DecimalText.double(text) == DecimalText.double(word)
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// Whether it is a number, when it is a value of valid JSON.
    fileprivate var isNumber: Bool {
        first.map { $0 == UInt8(ascii: "-") || $0 &- UInt8(ascii: "0") <= 9 } ?? false
    }

    /// Whether any text spells a number as JSON does: `1.2.3` and `2026-11-24` do not.
    fileprivate var spellsNumber: Bool {
        var offset = 0
        func takes(_ byte: Unicode.Scalar) -> Bool {
            guard offset < count, self[offset] == UInt8(ascii: byte) else { return false }
            offset += 1
            return true
        }
        func takesDigits() -> Bool {
            let start = offset
            while offset < count, self[offset] &- UInt8(ascii: "0") <= 9 { offset += 1 }
            return offset > start
        }
        _ = takes("-")
        let start = offset
        guard takesDigits(), self[start] != UInt8(ascii: "0") || offset == start + 1 else { return false }
        if takes("."), !takesDigits() { return false }
        if takes("e") || takes("E") {
            _ = takes("-") || takes("+")
            guard takesDigits() else { return false }
        }
        return offset == count
    }

    /// The value of digits with or without a sign; `nil` for any other text, and when it does not fit.
    fileprivate var integer: Int64? {
        var value: Int64 = 0
        let isNegative = first == UInt8(ascii: "-")
        guard count > (isNegative ? 1 : 0) else { return nil }
        for byte in self[(isNegative ? 1 : 0)...] {
            let digit = Int64(byte &- UInt8(ascii: "0"))
            guard digit <= 9 else { return nil }
            let (product, overflows) = value.multipliedReportingOverflow(by: 10)
            // Below zero there is room for one number more.
            let (sum, overflowsToo) =
                isNegative ? product.subtractingReportingOverflow(digit) : product.addingReportingOverflow(digit)
            guard !overflows, !overflowsToo else { return nil }
            value = sum
        }
        return value
    }
}

/// Compares texts with patterns in which `*` stands for any characters and `?` for one.
enum Glob {
    /// Whether a text matches. The time is at most the product of the lengths.
    static func matches(_ text: UnsafeBufferPointer<UInt8>, _ pattern: UnsafeBufferPointer<UInt8>) -> Bool {
        var (position, place) = (0, 0)
        // Where the last `*` is, and how much of the text it stands for so far.
        var (star, covered) = (-1, 0)
        while position < text.count {
            if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
                (star, covered) = (place, position)
                place += 1
            } else if place < pattern.count, pattern[place] == UInt8(ascii: "?") {
                position = nextCharacter(text, after: position)
                place += 1
            } else if place < pattern.count, pattern[place] == text[position] {
                position += 1
                place += 1
            } else if star >= 0 {
                covered += 1
                (position, place) = (covered, star + 1)
            } else {
                return false
            }
        }
        while place < pattern.count, pattern[place] == UInt8(ascii: "*") { place += 1 }
        return place == pattern.count
    }

    /// Behind the character of UTF-8 at a position.
    private static func nextCharacter(_ text: UnsafeBufferPointer<UInt8>, after position: Int) -> Int {
        var next = position + 1
        while next < text.count, text[next] & 0xC0 == 0x80 { next += 1 }
        return next
    }
}
