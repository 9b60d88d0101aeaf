import MeshJSON

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// An event's data: a JSON object, or `null`.
///
/// It is kept as the compact text of the message, never as a tree. So forwarded data keeps its members' order, its
/// escapes and every digit. Read it with the subscript, with ``decode(as:)`` or with ``value``.
///
/// Two data are equal when their values are: order, escapes and the spelling of numbers do not matter; of members with
/// the same name, the last counts.
public struct EventData: Sendable {
    private enum Kind: UInt8 { case null, object, invalid }

    /// Compact JSON; for invalid data, the reason.
    private let text: String
    private let kind: Kind
    private let depthByte: UInt8

    private init(text: String, kind: Kind, depth: Int) {
        self.text = text
        self.kind = kind
        depthByte = UInt8(clamping: depth)
    }

    /// Valid, compact text of an object.
    init(uncheckedObject text: String, depth: Int) { self.init(text: text, kind: .object, depth: depth) }

    /// Creates data that cannot be sent, with the reason.
    init(invalid reason: String) { self.init(text: reason, kind: .invalid, depth: 0) }

    /// `null`: an event without data.
    public static var null: EventData { EventData(text: "null", kind: .null, depth: 0) }

    /// `{}`.
    public static var empty: EventData { EventData(text: "{}", kind: .object, depth: 1) }

    /// Whether this is `null`.
    public var isNull: Bool { kind == .null }

    /// The data as one line of compact JSON; `null` for invalid data.
    public var json: String { kind == .invalid ? "null" : text }

    /// Checks that the data can be sent.
    ///
    /// - Throws: `invalidData` when it was built from values that JSON cannot express (NaN, an infinity, more than 127
    ///   levels) or that readers in Go drop (a number beyond the range of a double).
    public func validate() throws(MeshEventsError) {
        if kind == .invalid { throw MeshEventsError(.invalidData, text) }
    }

    /// Checks that every number is within the range of a `Double`: readers in Go drop an event with a number beyond it.
    /// Data that is only forwarded need not be checked; it keeps its digits.
    ///
    /// - Throws: `invalidData`.
    package func checkNumbers() throws(MeshEventsError) {
        let isBeyond = withBytes { bytes -> Bool in
            var index = 0
            while index < bytes.count {
                switch bytes[index] {
                case UInt8(ascii: "\""):
                    index += 1
                    while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
                        index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
                    }
                case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                    let number = bytes[index...].prefix {
                        $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "]") && $0 != UInt8(ascii: "}")
                    }
                    if DecimalText.isBeyondDouble(UnsafeBufferPointer(rebasing: number)) { return true }
                    index += number.count - 1
                default: break
                }
                index += 1
            }
            return false
        }
        if isBeyond { throw MeshEventsError(.invalidData, JSONNumber.beyondDouble) }
    }

    var isValid: Bool { kind != .invalid }
    /// How deep the text is nested: 0 for null.
    package var depth: Int { Int(depthByte) }

    /// Calls `body` with the bytes of ``json``.
    @inline(__always)
    func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        isValid ? text.withBytes(body) : "null".withBytes(body)
    }
}

extension EventData {
    /// Creates data from JSON text: an object, or `null`. White space between tokens is dropped, all else is kept.
    ///
    /// - Throws: `invalidData` when the text is neither, not valid JSON (RFC 8259), or deeper than 127 levels.
    public init(json: String) throws(MeshEventsError) {
        self = try json.withBytes { Self.parse(UnsafeRawBufferPointer($0)) }.get()
    }

    /// Creates data from JSON text in UTF-8.
    ///
    /// - Throws: as ``init(json:)-(String)``; also when the bytes are not UTF-8.
    public init(json bytes: some Collection<UInt8>) throws(MeshEventsError) {
        let parse: (UnsafeBufferPointer<UInt8>) -> Result<EventData, MeshEventsError> = {
            Self.parse(UnsafeRawBufferPointer($0))
        }
        if let result = bytes.withContiguousStorageIfAvailable(parse) {
            self = try result.get()
        } else {
            self = try Array(bytes).withUnsafeBufferPointer(parse).get()
        }
    }

    /// Creates data from a dictionary; members are written in byte order.
    ///
    /// - Throws: `invalidData` for NaN, infinities, numbers beyond the range of a double, and more than 127 levels.
    public init(_ object: [String: JSONValue]) throws(MeshEventsError) {
        self.init(JSONObject(object))
        try validate()
    }

    /// Creates data from an object; ``validate()`` and emitting throw when it cannot be sent.
    public init(_ object: JSONObject) { self.init { object.write(to: &$0) } }

    /// Creates an object from what `body` writes.
    init(_ body: (inout JSONWriter) -> Void) {
        var problem: JSONWriter.Problem?
        var depth = 0
        let text = JSONWriter.text { writer in
            body(&writer)
            problem = writer.problem
            depth = writer.deepest
        }
        if let problem {
            self.init(invalid: problem.message)
        } else {
            self.init(uncheckedObject: text, depth: depth)
        }
    }

    private static func parse(_ bytes: UnsafeRawBufferPointer) -> Result<EventData, MeshEventsError> {
        var scanner = JSONScanner(bytes)
        do throws(JSONScanner.Failure) {
            scanner.skipWhitespace()
            scanner.sawWhitespace = false
            let start = scanner.offset
            let isObject = scanner.peek() == UInt8(ascii: "{")
            let isNull = scanner.peek() == UInt8(ascii: "n")
            // One level counts as the event around it.
            try scanner.scanValue(depth: 1)
            let end = scanner.offset
            let isCompact = !scanner.sawWhitespace
            try scanner.expectEnd()
            try scanner.validateUTF8()
            if isNull { return .success(.null) }
            guard isObject else {
                return .failure(MeshEventsError(.invalidData, "data must be a JSON object or null"))
            }
            let text = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            return .success(EventData(scanned: text, isCompact: isCompact, depth: scanner.deepest - 1))
        } catch {
            let problem = "data is not valid JSON: \(error.description) at byte \(scanner.offset)"
            return .failure(MeshEventsError(.invalidData, problem))
        }
    }

    /// An object that was scanned and found valid.
    init(scanned bytes: UnsafeRawBufferPointer, isCompact: Bool, depth: Int) {
        let text = bytes.assumingMemoryBound(to: UInt8.self)
        self.init(
            uncheckedObject: isCompact ? String(decoding: text, as: UTF8.self) : JSONText.compact(text),
            depth: depth
        )
    }
}

extension EventData: ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral, CustomStringConvertible {
    /// Creates an object. Members are written in byte order of their names; of members with the same name, the last
    /// wins. ``validate()`` and emitting throw when a value cannot be sent (NaN, for example).
    @inlinable
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        // Inlined, so that the caller's array can live on its stack.
        self = elements.withUnsafeBufferPointer { EventData(members: $0) }
    }

    /// Creates an object from members in any order.
    @usableFromInline
    init(members: UnsafeBufferPointer<(String, JSONValue)>) {
        self.init { JSONObject.write(members, to: &$0) }
    }

    /// Creates `null`.
    public init(nilLiteral: ()) { self = .null }

    /// ``json``; for invalid data, the reason.
    public var description: String { kind == .invalid ? "invalid: \(text)" : text }
}

extension EventData: Hashable {
    /// Whether both have the same value.
    public static func == (left: EventData, right: EventData) -> Bool {
        guard left.kind == right.kind else { return false }
        return left.text.hasSameBytes(as: right.text) || left.kind == .object && left.value == right.value
    }

    /// Hashes the value.
    public func hash(into hasher: inout Hasher) { hasher.combine(value) }
}

extension EventData {
    /// The whole data as an ``EventData/Field``; `nil` for invalid data.
    var root: Field? { isValid ? Field(text: text, start: 0, end: text.utf8.count) : nil }

    /// The member of this name; `nil` when there is none. Of members with the same name, the last counts.
    ///
    /// The text is scanned on every call, about a nanosecond a byte: keep the result when you use it often.
    public subscript(key: String) -> Field? {
        guard kind == .object else { return nil }
        return Field.member(named: key, of: text, start: 0, end: text.utf8.count)
    }

    /// The members, in the order of the text; repeated names are repeated.
    public var members: [(key: String, value: Field)] { root?.members ?? [] }

    /// The names of the members, in the order of the text.
    public var keys: [String] { members.map(\.key) }

    /// The data as a tree; invalid data becomes `null`.
    public var value: JSONValue { root?.value ?? .null }
}

extension EventData {
    /// Creates data from a value that encodes as an object, or as `null`: members in byte order, dates as RFC 3339.
    ///
    /// - Throws: `invalidData` when the value does not encode, or encodes as something else.
    public init(encoding value: some Encodable) throws(MeshEventsError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .custom { date, encoder in
            var container = encoder.singleValueContainer()
            let nanoseconds = (date.timeIntervalSince1970 * 1e6).rounded() * 1e3
            guard let count = Int64(exactly: nanoseconds) else {
                let context = EncodingError.Context(
                    codingPath: encoder.codingPath,
                    debugDescription: "date out of range"
                )
                throw EncodingError.invalidValue(date, context)
            }
            try container.encode(Timestamp(nanosecondsSinceEpoch: count).description)
        }
        let text: Data
        do {
            text = try encoder.encode(value)
        } catch {
            let type = String(describing: type(of: value))
            throw MeshEventsError(.invalidData, "a value of \(type) does not encode as JSON", underlying: error)
        }
        try self.init(json: text)
    }

    /// Decodes a value of your own type from the data; dates are RFC 3339.
    ///
    /// - Throws: `invalidData` when it does not fit the type.
    public func decode<Value: Decodable>(as type: Value.Type = Value.self) throws(MeshEventsError) -> Value {
        try validate()
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .custom { decoder in
            let timestamp = try Timestamp(from: decoder)
            return Date(timeIntervalSince1970: Double(timestamp.nanosecondsSinceEpoch) / 1e9)
        }
        do {
            return try decoder.decode(type, from: Data(json.utf8))
        } catch {
            throw MeshEventsError(.invalidData, "the data does not decode as \(type)", underlying: error)
        }
    }
}

/// Lenient reading of the mesh's own payloads: a missing or `null` member reads as empty, since other implementations
/// leave members out. Only a value of the wrong kind throws.
extension EventData {
    func string(_ key: String) throws(MeshEventsError) -> String {
        guard let field = self[key], !field.isNull else { return "" }
        guard let string = field.string else { throw wrongKind(key, "a string") }
        return string
    }

    func integer(_ key: String) throws(MeshEventsError) -> Int {
        guard let field = self[key], !field.isNull else { return 0 }
        guard let integer = field.int else { throw wrongKind(key, "an integer of 64 bits") }
        return integer
    }

    func number(_ key: String) throws(MeshEventsError) -> Double {
        guard let field = self[key], !field.isNull else { return 0 }
        guard let number = field.double, number.isFinite else { throw wrongKind(key, "a number") }
        return number
    }

    func object(_ key: String) throws(MeshEventsError) -> EventData {
        guard let field = self[key] else { return .null }
        guard let data = field.data else { throw wrongKind(key, "an object or null") }
        return data
    }

    func boolean(_ key: String) throws(MeshEventsError) -> Bool {
        guard let field = self[key], !field.isNull else { return false }
        guard let value = field.bool else { throw wrongKind(key, "true or false") }
        return value
    }

    /// The boolean; `nil` when it is missing.
    func optionalBoolean(_ key: String) throws(MeshEventsError) -> Bool? {
        guard let field = self[key], !field.isNull else { return nil }
        return try boolean(key)
    }

    /// The string; `nil` when it is missing.
    func optionalString(_ key: String) throws(MeshEventsError) -> String? {
        guard let field = self[key], !field.isNull else { return nil }
        return try string(key)
    }

    /// The time; `nil` when it is missing.
    func time(_ key: String) throws(MeshEventsError) -> Timestamp? {
        guard let text = try optionalString(key) else { return nil }
        guard let time = try? Timestamp(rfc3339: text) else { throw wrongKind(key, "a time (RFC 3339)") }
        return time
    }

    /// The elements of an array of objects; `nil` when it is missing.
    func objects(_ key: String) throws(MeshEventsError) -> [EventData]? {
        guard let field = self[key], !field.isNull else { return nil }
        guard let elements = field.array else { throw wrongKind(key, "an array of objects") }
        var objects: [EventData] = []
        for element in elements {
            guard element.isObject, let data = element.data else { throw wrongKind(key, "an array of objects") }
            objects.append(data)
        }
        return objects
    }

    func sequences(_ key: String) throws(MeshEventsError) -> [UInt64] {
        guard let field = self[key], !field.isNull else { return [] }
        guard let elements = field.array else { throw wrongKind(key, "an array of sequences") }
        var sequences: [UInt64] = []
        for element in elements {
            guard let sequence = element.uint64 else { throw wrongKind(key, "an array of sequences") }
            sequences.append(sequence)
        }
        return sequences
    }

    func strings(_ key: String) throws(MeshEventsError) -> [String] {
        guard let field = self[key], !field.isNull else { return [] }
        guard let elements = field.array else { throw wrongKind(key, "an array of strings") }
        var strings: [String] = []
        for element in elements {
            guard let string = element.string else { throw wrongKind(key, "an array of strings") }
            strings.append(string)
        }
        return strings
    }

    private func wrongKind(_ key: String, _ expected: String) -> MeshEventsError {
        MeshEventsError(.invalidData, "'\(key)' in the event's data must be \(expected)")
    }
}
