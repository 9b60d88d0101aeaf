/// Selects events by their data: all conditions have to hold.
///
/// ```swift
/// let hot = try EventFilter("resources.cpu > 0.9", "node = gpu-*")
/// for try await event in try await bus.subscribe(to: .nodeHealth) where hot.matches(event) { … }
/// ```
///
/// A condition is a field and what it has to be:
///
/// | condition | holds when the field |
/// | --- | --- |
/// | `tool = whisper` | is this text, number, `true`, `false` or `null` |
/// | `tool = whis*` | matches: `*` stands for any characters, `?` for one |
/// | `tool = "whis*"` | is exactly the text in quotes, a JSON string |
/// | `tool != whisper` | is not so, or is absent |
/// | `resources.cpu > 0.9` | is a number and greater; also `<`, `<=`, `>=` |
/// | `tool in whisper, llama-*` | is one of these; `not in`: is none of them, or is absent |
/// | `error` | is there and not `null` |
/// | `!error` | is absent or `null` |
///
/// A field is the name of a member of the data; dots lead into objects, `resources.cpu`. A name with other characters than
/// letters, digits and `_ - @ / :` is written as a JSON string: `"my field".size`. When a field is a list, a condition holds
/// when it holds for one element; `!=` and `not in`, when it holds for all. `node` and `type` are the node that the event
/// is about and its type, unless the data has a member of that name.
///
/// The text of the data is compared in place; no values are built from it. Numbers are compared as `Int64`, or as `Double`
/// where one of them is no such integer.
public struct EventFilter: Sendable, Hashable {
    /// The conditions, in their order.
    public private(set) var conditions: [Condition]

    /// The most conditions.
    public static let maximumConditions = 64

    /// A filter that every event passes.
    public init() { conditions = [] }

    /// Creates a filter.
    ///
    /// - Throws: `invalidArgument` when there are more than ``maximumConditions``.
    public init(_ conditions: [Condition]) throws(MeshEventsError) {
        guard conditions.count <= Self.maximumConditions else {
            throw MeshEventsError(
                .invalidArgument,
                "\(conditions.count) conditions; give at most \(Self.maximumConditions)"
            )
        }
        self.conditions = conditions
    }

    /// Creates a filter from the texts of conditions.
    ///
    /// - Throws: `invalidArgument`, which names the condition and what is expected.
    public init(_ conditions: [String]) throws(MeshEventsError) {
        var read: [Condition] = []
        for text in conditions { read.append(try Condition(text)) }
        try self.init(read)
    }

    /// Creates a filter from the texts of conditions.
    ///
    /// - Throws: `invalidArgument`, which names the condition and what is expected.
    public init(_ conditions: String...) throws(MeshEventsError) { try self.init(conditions) }

    /// Whether every event passes.
    public var isEmpty: Bool { conditions.isEmpty }
}

extension EventFilter: CustomStringConvertible {
    /// The conditions with `and` between them.
    public var description: String { conditions.map(\.description).joined(separator: " and ") }
}

extension EventFilter {
    /// A field of the data, and what it has to be.
    public struct Condition: Sendable, Hashable {
        /// The names of the members that lead to the field, at least one.
        public let path: [String]
        /// What the field has to be.
        public let test: Test

        /// Creates a condition.
        ///
        /// - Parameters:
        ///   - path: the names that lead to the field, 1 to 16.
        ///   - test: what it has to be.
        /// - Throws: `invalidArgument`.
        public init(path: [String], _ test: Test) throws(MeshEventsError) {
            guard (1...Self.maximumDepth).contains(path.count) else {
                throw MeshEventsError(
                    .invalidArgument,
                    "a field has 1 to \(Self.maximumDepth) names with dots between them"
                )
            }
            if case .isOneOf(let operands) = test, operands.isEmpty { throw Self.emptyList }
            if case .isNoneOf(let operands) = test, operands.isEmpty { throw Self.emptyList }
            for case .word(let word) in test.operands where word.utf8.count > Self.longestPattern {
                guard !word.contains("*"), !word.contains("?") else {
                    throw MeshEventsError(
                        .invalidArgument,
                        "a value with * or ? in it has at most \(Self.longestPattern) bytes; in quotes it is a text of any length"
                    )
                }
            }
            self.path = path
            self.test = test
        }

        private static let maximumDepth = 16
        /// Comparing takes as long as the product of the lengths of pattern and text.
        private static let longestPattern = 128
        private static let emptyList = MeshEventsError(.invalidArgument, "a list of values must not be empty")
    }

    /// What a field has to be.
    public enum Test: Sendable, Hashable {
        /// It is there, and not `null`.
        case isPresent
        /// It is absent, or `null`.
        case isAbsent
        /// It is this.
        case equals(Operand)
        /// It is not this, or absent.
        case differs(Operand)
        /// It is one of these; at least one.
        case isOneOf([Operand])
        /// It is none of these, or absent.
        case isNoneOf([Operand])
        /// It is a number, and compares like this.
        case compares(Order, to: JSONNumber)
    }

    /// How a number compares.
    public enum Order: String, Sendable, Hashable, CaseIterable {
        /// It is less.
        case less = "<"
        /// It is less or equal.
        case lessOrEqual = "<="
        /// It is greater.
        case greater = ">"
        /// It is greater or equal.
        case greaterOrEqual = ">="
    }

    /// What a field is compared with.
    public enum Operand: Sendable, Hashable {
        /// This text, and nothing else.
        case text(String)
        /// What is written so: this text; the number, boolean or `null` that it spells; with `*` or `?` in it, a text that
        /// matches.
        case word(String)
    }
}

extension EventFilter.Condition: CustomStringConvertible {
    /// The condition as text, which ``init(_:)`` reads.
    public var description: String {
        let field = path.map { EventFilter.ConditionReader.isName($0) ? $0 : JSONValue.string($0).description }
            .joined(separator: ".")
        switch test {
        case .isPresent: return field
        case .isAbsent: return "!\(field)"
        case .equals(let operand): return "\(field) = \(operand)"
        case .differs(let operand): return "\(field) != \(operand)"
        case .isOneOf(let operands): return "\(field) in \(EventFilter.Operand.list(operands))"
        case .isNoneOf(let operands): return "\(field) not in \(EventFilter.Operand.list(operands))"
        case .compares(let order, let number): return "\(field) \(order.rawValue) \(number)"
        }
    }
}

extension EventFilter.Operand: CustomStringConvertible {
    /// The operand as it is written behind `=`. A word that a condition cannot have is written in quotes.
    public var description: String { text(isWord: EventFilter.ConditionReader.isWord) }

    /// Operands as they are written behind `in`; in brackets when the first begins with one.
    fileprivate static func list(_ operands: [Self]) -> String {
        let words = operands.compactMap { if case .word(let word) = $0 { word } else { nil } }
        let isBracketed =
            if case .word(let first)? = operands.first { first.hasPrefix("[") } else { false }
        let mayBeBracketed = !words.contains { $0.contains("]") }
        let texts = operands.enumerated().map { index, operand in
            operand.text { word in
                EventFilter.ConditionReader.isWord(word) && !word.contains(",")
                    && (index > 0 || !isBracketed || mayBeBracketed)
            }
        }
        let text = texts.joined(separator: ", ")
        return isBracketed && mayBeBracketed ? "[\(text)]" : text
    }

    private func text(isWord: (String) -> Bool) -> String {
        switch self {
        case .text(let text): JSONValue.string(text).description
        case .word(let word): isWord(word) ? word : JSONValue.string(word).description
        }
    }
}

extension EventFilter.Test {
    /// What the field is compared with.
    fileprivate var operands: [EventFilter.Operand] {
        switch self {
        case .equals(let operand), .differs(let operand): [operand]
        case .isOneOf(let operands), .isNoneOf(let operands): operands
        case .isPresent, .isAbsent, .compares: []
        }
    }
}
