import MeshJSON
import MeshLogging

extension EventFilter.Condition {
    /// Reads a condition, such as `resources.cpu > 0.9`; see ``EventFilter``.
    ///
    /// - Throws: `invalidArgument`: it says what is wrong with the text, and what is expected.
    public init(_ text: String) throws(MeshEventsError) {
        guard text.utf8.count <= EventFilter.ConditionReader.longestText else {
            throw MeshEventsError(
                .invalidArgument,
                "a condition has at most \(EventFilter.ConditionReader.longestText) bytes"
            )
        }
        var reader = EventFilter.ConditionReader(text)
        let (path, test): ([String], EventFilter.Test)
        do throws(EventFilter.ConditionReader.Failure) {
            (path, test) = try reader.condition()
        } catch {
            throw MeshEventsError(
                .invalidArgument,
                "\(text.harmless.debugDescription) is no condition: \(error.message); write it like 'tool = whisper' or "
                    + "'resources.cpu > 0.9'"
            )
        }
        try self.init(path: path, test)
    }
}

extension EventFilter {
    /// Reads the text of a condition.
    struct ConditionReader {
        /// Why the text is no condition.
        struct Failure: Error {
            let message: String
        }

        static let longestText = 4_096

        private var rest: Substring

        init(_ text: String) { rest = text[...] }

        mutating func condition() throws(Failure) -> ([String], Test) {
            skipSpace()
            let isNegated = take("!")
            skipSpace()
            let path = try path()
            skipSpace()
            if isNegated {
                try expectEnd(after: "'!' and a field")
                return (path, .isAbsent)
            }
            if rest.isEmpty { return (path, .isPresent) }
            return (path, try test())
        }

        private mutating func test() throws(Failure) -> Test {
            if take("!=") { return .differs(try operand()) }
            if take("==") || take("=") { return .equals(try operand()) }
            // The longer ones first.
            for order in [Order.lessOrEqual, .greaterOrEqual, .less, .greater] where take(order.rawValue) {
                return .compares(order, to: try number())
            }
            if takeWord("not") {
                skipSpace()
                guard takeWord("in") else { throw Failure(message: "after 'not' comes 'in'") }
                return .isNoneOf(try list())
            }
            if takeWord("in") { return .isOneOf(try list()) }
            throw Failure(message: "after the field comes =, !=, <, <=, >, >=, in or 'not in'")
        }

        // MARK: Fields

        private mutating func path() throws(Failure) -> [String] {
            var path = [try name()]
            while take(".") { path.append(try name()) }
            return path
        }

        private mutating func name() throws(Failure) -> String {
            if rest.first == "\"" { return try quoted() }
            let name = rest.prefix { Self.isNameCharacter($0) }
            guard !name.isEmpty else { throw Failure(message: "it begins with the name of a field") }
            rest = rest[name.endIndex...]
            return String(name)
        }

        /// Whether a name needs no quotes.
        static func isName(_ text: String) -> Bool { !text.isEmpty && text.allSatisfy(isNameCharacter) }

        private static func isNameCharacter(_ character: Character) -> Bool {
            character.isLetter || character.isNumber || character == "_" || character == "-" || character == "@"
                || character == "/" || character == ":"
        }

        // MARK: Values

        private mutating func operand() throws(Failure) -> Operand {
            skipSpace()
            if rest.first == "\"" {
                let text = try quoted()
                try expectEnd(after: "the value in quotes")
                return .text(text)
            }
            let word = Self.trimmed(rest)
            guard !word.isEmpty else { throw Failure(message: "the value is missing; an empty text is \"\"") }
            rest = rest[rest.endIndex...]
            return .word(word)
        }

        private mutating func list() throws(Failure) -> [Operand] {
            skipSpace()
            let isBracketed = take("[")
            var operands: [Operand] = []
            while true {
                skipSpace()
                if rest.first == "\"" {
                    operands.append(.text(try quoted()))
                } else {
                    let word = rest.prefix { $0 != "," && !(isBracketed && $0 == "]") }
                    rest = rest[word.endIndex...]
                    let trimmed = Self.trimmed(word)
                    guard !trimmed.isEmpty else { throw Failure(message: "a value of the list is missing") }
                    operands.append(.word(trimmed))
                }
                skipSpace()
                guard take(",") else { break }
            }
            if isBracketed, !take("]") { throw Failure(message: "the list's ] is missing") }
            try expectEnd(after: "the list")
            return operands
        }

        private mutating func number() throws(Failure) -> JSONNumber {
            skipSpace()
            let word = Self.trimmed(rest)
            guard let number = Self.number(word) else {
                throw Failure(message: "<, <=, > and >= compare with a number")
            }
            rest = rest[rest.endIndex...]
            return number
        }

        /// The number that a text spells.
        static func number(_ text: String) -> JSONNumber? {
            guard let first = text.utf8.first, first == UInt8(ascii: "-") || first &- UInt8(ascii: "0") <= 9,
                let field = try? EventData(json: "{\"\":\(text)}")[""], field.json == text, let value = field.double,
                value.isFinite
            else { return nil }
            return field.int64.map { JSONNumber($0) } ?? JSONNumber(value)
        }

        /// A JSON string.
        private mutating func quoted() throws(Failure) -> String {
            var end = rest.index(after: rest.startIndex)
            while end < rest.endIndex, rest[end] != "\"" {
                end = rest.index(after: end)
                if rest[rest.index(before: end)] == "\\", end < rest.endIndex { end = rest.index(after: end) }
            }
            guard end < rest.endIndex else { throw Failure(message: "a closing quote is missing") }
            let literal = rest[...end]
            guard let string = try? EventData(json: "{\"\":\(literal)}")[""]?.string else {
                throw Failure(message: "\(literal) is no JSON string")
            }
            rest = rest[rest.index(after: end)...]
            return string
        }

        /// Whether a text is read as the same word behind `=`.
        static func isWord(_ text: String) -> Bool {
            !text.isEmpty && text.first != "\"" && trimmed(text[...]) == text
        }

        // MARK: Text

        private static func trimmed(_ text: Substring) -> String {
            let start = text.drop { $0.isWhitespace }
            guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
            return String(start[...last])
        }

        private mutating func skipSpace() { rest = rest.drop { $0.isWhitespace } }

        private mutating func take(_ prefix: String) -> Bool {
            guard rest.hasPrefix(prefix) else { return false }
            rest = rest.dropFirst(prefix.count)
            return true
        }

        /// Takes a word that ends here.
        private mutating func takeWord(_ word: String) -> Bool {
            guard rest.hasPrefix(word) else { return false }
            let after = rest.dropFirst(word.count)
            guard after.first.map({ $0.isWhitespace || $0 == "\"" || $0 == "[" }) ?? true else { return false }
            rest = after
            return true
        }

        private mutating func expectEnd(after what: String) throws(Failure) {
            skipSpace()
            guard rest.isEmpty else { throw Failure(message: "nothing may come after \(what)") }
        }
    }
}
