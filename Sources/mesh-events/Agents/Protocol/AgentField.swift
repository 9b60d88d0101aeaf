import MeshEvents

/// An argument of a tool for agents: what the schema says of it, and what is checked, are one.
struct AgentField: Sendable {
    /// What the argument can be.
    enum Kind: Sendable, Hashable {
        /// A text with so many characters (Unicode scalars) at most, and at least one.
        case text(atMost: Int)
        /// One of these words.
        case word([String])
        /// An integer within the range, and what it is when it is missing.
        case integer(ClosedRange<Int>, standard: Int)
        /// `true` or `false`; `false` when it is missing.
        case flag
        /// Texts: so many at most, each with so many characters at most.
        case texts(atMost: Int, each: Int)
    }

    let name: OwnWords
    let kind: Kind
    let isRequired: Bool
    let meaning: OwnWords

    init(_ name: OwnWords, _ kind: Kind, isRequired: Bool = false, _ meaning: OwnWords) {
        self.name = name
        self.kind = kind
        self.isRequired = isRequired
        self.meaning = meaning
    }

    /// The argument in a JSON schema.
    fileprivate var schema: JSONValue {
        var members: [(String, JSONValue)] = [("description", .string(meaning.text))]
        func text(_ most: Int) -> [(String, JSONValue)] {
            [("type", "string"), ("minLength", 1), ("maxLength", JSONValue(most))]
        }
        switch kind {
        case .text(let most): members += text(most)
        case .word(let words): members += [("type", "string"), ("enum", .array(words.map { .string($0) }))]
        case .integer(let range, let standard):
            members += [
                ("type", "integer"), ("minimum", JSONValue(range.lowerBound)), ("maximum", JSONValue(range.upperBound)),
                ("default", JSONValue(standard)),
            ]
        case .flag: members += [("type", "boolean"), ("default", false)]
        case .texts(let most, let each):
            members += [("type", "array"), ("items", .object(JSONObject(text(each)))), ("maxItems", JSONValue(most))]
        }
        return .object(JSONObject(members))
    }

    /// Whether a value is one of these.
    fileprivate func allows(_ value: EventData.Field) -> Bool {
        func isText(_ value: EventData.Field, _ most: Int) -> Bool {
            guard let text = value.string, !text.isEmpty else { return false }
            return text.utf8.count <= most * 4 && text.unicodeScalars.count <= most
        }
        switch kind {
        case .text(let most): return isText(value, most)
        case .word(let words): return value.string.map(words.contains) ?? false
        case .integer(let range, _): return value.int.map(range.contains) ?? false
        case .flag: return value.bool != nil
        case .texts(let most, let each):
            guard let (elements, count) = value.elements(first: most) else { return false }
            return count <= most && elements.allSatisfy { isText($0, each) }
        }
    }

    /// What is expected, for the client.
    fileprivate var expectation: OwnWords {
        switch kind {
        case .text(let most): "a text of 1 to \(most) characters"
        case .word: "one of the words in the tool's schema"
        case .integer(let range, _): "an integer from \(range.lowerBound) to \(range.upperBound)"
        case .flag: "true or false"
        case .texts(let most, let each): "a list of at most \(most) texts of 1 to \(each) characters"
        }
    }
}

extension [AgentField] {
    /// The JSON schema of the arguments.
    var schema: JSONValue {
        [
            "type": "object",
            "properties": .object(JSONObject(map { ($0.name.text, $0.schema) })),
            "required": .array(filter(\.isRequired).map { .string($0.name.text) }),
            "additionalProperties": false,
        ]
    }
}

/// The arguments of a call, checked.
struct AgentArguments: Sendable {
    private let data: EventData
    private let fields: [AgentField]

    /// Checks arguments.
    ///
    /// - Throws: `AgentFailure` that names the argument and what is expected.
    init(_ data: EventData, _ fields: [AgentField]) throws(AgentFailure) {
        let names = Set(fields.map(\.name.text))
        guard data.keys.allSatisfy(names.contains) else {
            throw AgentFailure(.invalidArguments, "An argument is not one of those in the tool's schema.")
        }
        for field in fields {
            guard let value = data[field.name.text], !value.isNull else {
                guard !field.isRequired else {
                    throw AgentFailure(.invalidArguments, "The argument `\(field.name)` is missing.")
                }
                continue
            }
            guard field.allows(value) else {
                throw AgentFailure(
                    .invalidArguments,
                    "The argument `\(field.name)` has to be \(field.expectation)."
                )
            }
        }
        self.data = data
        self.fields = fields
    }

    private func value(_ name: String) -> EventData.Field? { data[name].flatMap { $0.isNull ? nil : $0 } }

    /// A text, or a word; `nil` when it is missing.
    func text(_ name: String) -> String? { value(name)?.string }

    /// A text that is required.
    ///
    /// - Throws: `AgentFailure`; not after the check of a field that is required.
    func required(_ name: String) throws(AgentFailure) -> String {
        guard let text = text(name) else { throw AgentFailure(.invalidArguments, "A required argument is missing.") }
        return text
    }

    /// Texts; none when they are missing.
    func texts(_ name: String) -> [String] { (value(name)?.array ?? []).compactMap(\.string) }

    /// Whether a flag is set.
    func flag(_ name: String) -> Bool { value(name)?.bool ?? false }

    /// An integer; the field's standard when it is missing.
    func integer(_ name: String) -> Int {
        if let number = value(name)?.int { return number }
        for field in fields where field.name.text == name {
            if case .integer(_, let standard) = field.kind { return standard }
        }
        return 0
    }
}
