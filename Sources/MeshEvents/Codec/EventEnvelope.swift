import MeshJSON

/// Where an event's members lie in a message: the result of one scan.
struct EventEnvelope {
    /// Why a message is not an event.
    enum Failure: Error {
        case notJSON(JSONScanner.Failure, offset: Int)
        case notAnObject
        case notAString(StaticString)
        case dataKind
        case noMember
        case serverAnswer

        var description: String {
            switch self {
            case .notJSON(let failure, let offset): "not JSON: \(failure.description) at byte \(offset)"
            case .notAnObject: "not a JSON object"
            case .notAString(let name): "'\(name)' is not a string"
            case .dataKind: "'data' is neither an object nor null"
            case .noMember: "has none of 'type', 'node', 'timestamp' and 'data', like a server's answer to a request"
            case .serverAnswer: "an answer of a server's JetStream API"
            }
        }
    }

    /// Where a string's text lies, without its quotes.
    struct StringSpan {
        var range: Range<Int>
        var hasEscapes: Bool
    }

    private enum Member {
        case missing
        case string(StringSpan)
        case other
    }

    private enum DataMember {
        case missing
        case null
        case object(Range<Int>)
        case other
    }

    private(set) var type: StringSpan?
    private(set) var node: StringSpan?
    /// `nil` also when it is not a string.
    private(set) var timestamp: StringSpan?
    /// The object's text; `nil` for null.
    private(set) var data: Range<Int>?
    private(set) var dataIsCompact = true
    private(set) var dataDepth = 0

    init(_ payload: UnsafeRawBufferPointer) throws(Failure) {
        if scanUsual(payload) { return }
        var scanner = JSONScanner(payload)
        var type = Member.missing
        var node = Member.missing
        var timestamp = Member.missing
        var data = DataMember.missing
        let isObject: Bool
        do throws(JSONScanner.Failure) {
            scanner.skipWhitespace()
            isObject = scanner.peek() == UInt8(ascii: "{")
            if isObject {
                try scan(&scanner, payload, &type, &node, &timestamp, &data)
            } else {
                try scanner.scanValue(depth: 0)
            }
            try scanner.expectEnd()
            try scanner.validateUTF8()
        } catch {
            throw .notJSON(error, offset: scanner.offset)
        }
        guard isObject else { throw .notAnObject }
        if case (.missing, .missing, .missing) = (node, timestamp, data) { try Self.checkOrigin(type, payload) }
        self.type = try Self.string(type, "type")
        self.node = try Self.string(node, "node")
        if case .string(let span) = timestamp { self.timestamp = span }
        switch data {
        case .missing, .null: break
        case .object(let range): self.data = range
        case .other: throw .dataKind
        }
    }

    /// Throws when the message is a server's answer to a request. Called for messages without `node`, `timestamp` and
    /// `data`.
    ///
    /// A client that sends a request chooses the subject of the answer, and may choose an event's. The answer to a
    /// publish has none of an event's members (`{"stream":"MESH_EVENTS","seq":7}`); answers of the API have a `type` of
    /// their own.
    @inline(never)
    private static func checkOrigin(_ type: Member, _ payload: UnsafeRawBufferPointer) throws(Failure) {
        switch type {
        case .missing: throw .noMember
        case .other: return
        case .string(let span):
            let bytes = UnsafeRawBufferPointer(rebasing: payload[span.range])
            let text = JSONText.string(bytes.assumingMemoryBound(to: UInt8.self), hasEscapes: span.hasEscapes)
            guard !text.utf8.starts(with: "io.nats.jetstream.".utf8) else { throw .serverAnswer }
        }
    }

    @inline(__always)
    private static func string(_ member: Member, _ name: StaticString) throws(Failure) -> StringSpan? {
        switch member {
        case .missing: return nil
        case .string(let span): return span
        case .other: throw .notAString(name)
        }
    }

    /// Reads the usual layout of an event, as Go's encoder and ours write it; `false` for all others, errors included.
    private mutating func scanUsual(_ payload: UnsafeRawBufferPointer) -> Bool {
        var scanner = JSONScanner(payload)
        do throws(JSONScanner.Failure) {
            guard scanner.skip("{\"type\":\"") else { return false }
            let type = try Self.span(&scanner)
            guard scanner.skip(",\"node\":\"") else { return false }
            let node = try Self.span(&scanner)
            guard scanner.skip(",\"timestamp\":\"") else { return false }
            let timestamp = try Self.span(&scanner)
            guard scanner.skip(",\"data\":"), case .object(let data) = try dataMember(&scanner),
                scanner.skip("}"), scanner.offset == payload.count
            else { return false }
            try scanner.validateUTF8()
            (self.type, self.node, self.timestamp, self.data) = (type, node, timestamp, data)
            return true
        } catch {
            return false
        }
    }

    /// Reads the rest of a string whose opening quote has been read.
    @inline(__always)
    private static func span(_ scanner: inout JSONScanner) throws(JSONScanner.Failure) -> StringSpan {
        let start = scanner.offset
        let hasEscapes = try scanner.scanString()
        return StringSpan(range: start..<scanner.offset - 1, hasEscapes: hasEscapes)
    }

    private mutating func scan(
        _ scanner: inout JSONScanner,
        _ payload: UnsafeRawBufferPointer,
        _ type: inout Member,
        _ node: inout Member,
        _ timestamp: inout Member,
        _ data: inout DataMember
    ) throws(JSONScanner.Failure) {
        scanner.advance()
        scanner.skipWhitespace()
        if scanner.peek() == UInt8(ascii: "}") { return scanner.advance() }
        while true {
            try scanner.expect(UInt8(ascii: "\""))
            let name = try Self.span(&scanner)
            scanner.skipWhitespace()
            try scanner.expect(UInt8(ascii: ":"))
            scanner.skipWhitespace()
            switch Name(name, payload) {
            case .type: type = try Self.member(&scanner)
            case .node: node = try Self.member(&scanner)
            case .timestamp: timestamp = try Self.member(&scanner)
            case .data: data = try dataMember(&scanner)
            case nil: try scanner.scanValue(depth: 1)
            }
            scanner.skipWhitespace()
            let byte = scanner.peek()
            if byte == UInt8(ascii: ",") {
                scanner.advance()
                scanner.skipWhitespace()
            } else if byte == UInt8(ascii: "}") {
                return scanner.advance()
            } else {
                throw scanner.unexpected()
            }
        }
    }

    @inline(__always)
    private static func member(_ scanner: inout JSONScanner) throws(JSONScanner.Failure) -> Member {
        guard scanner.peek() == UInt8(ascii: "\"") else {
            try scanner.scanValue(depth: 1)
            return .other
        }
        scanner.advance()
        return .string(try span(&scanner))
    }

    @inline(__always)
    private mutating func dataMember(_ scanner: inout JSONScanner) throws(JSONScanner.Failure) -> DataMember {
        let start = scanner.offset
        let first = scanner.peek()
        scanner.sawWhitespace = false
        scanner.deepest = 1
        try scanner.scanValue(depth: 1)
        switch first {
        case UInt8(ascii: "{"):
            dataIsCompact = !scanner.sawWhitespace
            dataDepth = scanner.deepest - 1
            return .object(start..<scanner.offset)
        case UInt8(ascii: "n"): return .null
        default: return .other
        }
    }
}

extension EventEnvelope {
    /// The members of an event.
    private enum Name {
        case type, node, timestamp, data

        @inline(__always)
        init?(_ span: StringSpan, _ payload: UnsafeRawBufferPointer) {
            guard !span.hasEscapes else {
                self.init(unescaping: UnsafeRawBufferPointer(rebasing: payload[span.range]))
                return
            }
            switch span.range.count {
            case 4:
                let word = payload.loadUnaligned(fromByteOffset: span.range.lowerBound, as: UInt32.self)
                switch UInt32(littleEndian: word) {
                case 0x6570_7974: self = .type
                case 0x6564_6F6E: self = .node
                case 0x6174_6164: self = .data
                default: return nil
                }
            case 9:
                let offset = span.range.lowerBound
                let word = UInt64(littleEndian: payload.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                guard word == 0x6D61_7473_656D_6974, payload[offset + 8] == UInt8(ascii: "p") else { return nil }
                self = .timestamp
            default: return nil
            }
        }

        @inline(never)
        private init?(unescaping bytes: UnsafeRawBufferPointer) {
            switch JSONText.string(bytes.assumingMemoryBound(to: UInt8.self), hasEscapes: true) {
            case "type": self = .type
            case "node": self = .node
            case "timestamp": self = .timestamp
            case "data": self = .data
            default: return nil
            }
        }
    }
}
