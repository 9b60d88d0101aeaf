import Foundation
import MeshEvents

/// What the codec makes of a text, against what Foundation's JSON parser makes of it. The differences that are meant
/// are ``Exception``; any other is an error in one of them.
enum FoundationComparison {
    /// Where the two may differ.
    enum Exception: CaseIterable {
        /// Deeper than 128 levels, the event included: refused here.
        case depth
        /// UTF-16, UTF-32 or a byte order mark: Foundation guesses, the wire is UTF-8.
        case encoding
        /// A comma before a closing bracket or brace: no JSON, yet Foundation lets it pass.
        case trailingComma
        /// A surrogate escape without its partner: refused by Foundation; here it reads as U+FFFD, as in Go.
        case loneSurrogate
        /// A number beyond `Double`: refused by Foundation; here its digits are kept.
        case hugeNumber
        /// Names that are different bytes but canonically equivalent: one name for Foundation, two on the wire.
        case equivalentNames
    }

    /// How two parsers' verdicts and values compare.
    enum Verdict: Equatable {
        case bothAccept, bothRefuse
        case excepted(Exception)
        case differ(String)
    }

    /// The text as an event's data.
    static func compareData(_ bytes: [UInt8]) -> Verdict {
        let ours = try? EventData(json: bytes)
        let theirs = foundation(bytes).flatMap { $0 is [String: Any] || $0 is NSNull ? $0 : nil }
        switch (ours, theirs) {
        case (nil, nil): return .bothRefuse
        case (let ours?, nil): return accepted(bytes, ours.value)
        case (nil, _?): return refused(bytes, depth: 127)
        case (let ours?, let theirs?): return same(ours.value, theirs)
        }
    }

    /// The text as an event on the subject `events.user.fuzz`.
    static func compareEvent(_ bytes: [UInt8]) -> Verdict {
        let received = Timestamp(nanosecondsSinceEpoch: 42)
        let theirs = (foundation(bytes) as? [String: Any]).flatMap { ExpectedEvent($0, received) }
        let ours = try? EventDecoder.decode(
            subject: theirs?.type.subject ?? subject(of: bytes),
            payload: bytes,
            received: received
        )
        switch (ours, theirs) {
        case (nil, nil): return .bothRefuse
        case (let ours?, nil):
            // The exception may be in a member that the event leaves out.
            let whole = (try? EventData(json: bytes))?.value ?? ours.data.value
            return accepted(bytes, whole)
        case (nil, _?): return refused(bytes, depth: 128)
        case (let ours?, let theirs?):
            guard ours.type == theirs.type, ours.node.utf8.elementsEqual(theirs.node.utf8) else {
                return .differ("type \(ours.type) and node \(ours.node), not \(theirs.type) and \(theirs.node)")
            }
            guard ours.timestamp == theirs.timestamp else {
                return .differ("timestamp \(ours.timestamp), not \(theirs.timestamp)")
            }
            return same(ours.data.value, theirs.data)
        }
    }

    /// The subject on which a message may travel: its type has to be the subject's.
    static func subject(of bytes: [UInt8]) -> String {
        let type = (try? EventData(json: bytes))?["type"]?.string.flatMap { try? EventType($0) }
        return (type ?? "user.fuzz").subject
    }

    private static func foundation(_ bytes: [UInt8]) -> Any? {
        try? JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed])
    }

    private static func accepted(_ bytes: [UInt8], _ value: JSONValue) -> Verdict {
        let outline = JSONOutline(bytes)
        if outline.hasLoneSurrogate { return .excepted(.loneSurrogate) }
        if outline.hasHugeNumber { return .excepted(.hugeNumber) }
        return .differ("accepted, though Foundation refuses it")
    }

    private static func refused(_ bytes: [UInt8], depth: Int) -> Verdict {
        let marks: [[UInt8]] = [[0xEF, 0xBB, 0xBF], [0xFE, 0xFF], [0xFF, 0xFE]]
        if marks.contains(where: bytes.starts) || bytes.contains(0) { return .excepted(.encoding) }
        let outline = JSONOutline(bytes)
        if outline.depth > depth { return .excepted(.depth) }
        if outline.hasTrailingComma { return .excepted(.trailingComma) }
        return .differ("refused, though Foundation accepts it")
    }

    private static func same(_ ours: JSONValue, _ theirs: Any) -> Verdict {
        switch ours {
        case .null: return theirs is NSNull ? .bothAccept : .differ("null, not \(theirs)")
        case .bool(let bool):
            let number = theirs as? NSNumber
            return number.map(isBool) == true && number?.boolValue == bool
                ? .bothAccept : .differ("\(bool), not \(theirs)")
        case .number(let ours):
            guard let number = theirs as? NSNumber, !isBool(number) else { return .differ("\(ours), not \(theirs)") }
            // Ours is the nearest double. Foundation keeps more than 19 digits as a `Decimal`, whose double may be off in
            // the last bits.
            let distance = abs(ours.double - number.doubleValue)
            return ours.double == Double(ours.description) && distance <= abs(ours.double) * 1e-14
                ? .bothAccept : .differ("\(ours), that is \(ours.double), not \(number)")
        case .string(let ours):
            guard let theirs = theirs as? String, ours.utf8.elementsEqual(theirs.utf8) else {
                return .differ("\(ours.debugDescription), not \(theirs)")
            }
            return .bothAccept
        case .array(let ours):
            guard let theirs = theirs as? [Any], theirs.count == ours.count else {
                return .differ("an array of \(ours.count), not \(theirs)")
            }
            for (one, other) in zip(ours, theirs) {
                let verdict = same(one, other)
                guard verdict == .bothAccept else { return verdict }
            }
            return .bothAccept
        case .object(let ours):
            if Set(ours.keys).count < ours.count { return .excepted(.equivalentNames) }
            guard let theirs = theirs as? [String: Any], theirs.count == ours.count else {
                return .differ("an object of \(ours.count) members, not \(theirs)")
            }
            for (key, value) in ours {
                guard let other = theirs[key] else { return .differ("a member \(key) that Foundation does not have") }
                let verdict = same(value, other)
                guard verdict == .bothAccept else { return verdict }
            }
            return .bothAccept
        }
    }

    private static func isBool(_ number: NSNumber) -> Bool {
        #if canImport(Darwin)
            CFGetTypeID(number) == CFBooleanGetTypeID()
        #else
            String(cString: number.objCType) == "c"
        #endif
    }
}

/// The event that the wire contract makes of an object that Foundation has read; `nil` when it makes none.
private struct ExpectedEvent {
    var type: EventType
    var node: String
    var timestamp: Timestamp
    var data: Any

    init?(_ members: [String: Any], _ received: Timestamp) {
        if let type = members["type"], !(type is String) { return nil }
        if let node = members["node"], !(node is String) { return nil }
        // What a server answers to a request.
        let isAlone = members["node"] == nil && members["timestamp"] == nil && members["data"] == nil
        if isAlone, (members["type"] as? String).map({ $0.hasPrefix("io.nats.jetstream.") }) ?? true { return nil }
        let data = members["data"] ?? NSNull()
        guard data is NSNull || data is [String: Any] else { return nil }
        type = (members["type"] as? String).flatMap { try? EventType($0) } ?? "user.fuzz"
        node = members["node"] as? String ?? ""
        timestamp = (members["timestamp"] as? String).flatMap { try? Timestamp(rfc3339: $0) } ?? received
        self.data = data
    }
}

/// What can be told of JSON text without parsing it.
private struct JSONOutline {
    private(set) var depth = 0
    private(set) var hasTrailingComma = false
    private(set) var hasLoneSurrogate = false
    private(set) var hasHugeNumber = false

    init(_ bytes: [UInt8]) {
        var level = 0
        var lastToken: UInt8 = 0
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""): readString(bytes, &index)
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                level += 1
                depth = max(depth, level)
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                level -= 1
                if lastToken == UInt8(ascii: ",") { hasTrailingComma = true }
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                let end = bytes[index...].firstIndex { !"0123456789+-.eE".utf8.contains($0) } ?? bytes.count
                let text = String(decoding: bytes[(index - 1)..<end], as: UTF8.self)
                if let number = Double(text), !number.isFinite { hasHugeNumber = true }
                index = end
            default: break
            }
            if byte > 0x20 { lastToken = byte }
        }
    }

    private mutating func readString(_ bytes: [UInt8], _ index: inout Int) {
        var awaitsTrail = false
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            guard byte == UInt8(ascii: "\\") else {
                if awaitsTrail { hasLoneSurrogate = true }
                awaitsTrail = false
                if byte == UInt8(ascii: "\"") { return }
                continue
            }
            let end = min(index + 5, bytes.count)
            let digits = String(decoding: bytes[index..<end].dropFirst(), as: UTF8.self)
            let isUnicode = index < bytes.count && bytes[index] == UInt8(ascii: "u")
            let unit = isUnicode ? UInt16(digits, radix: 16) : nil
            if let unit, UTF16.isTrailSurrogate(unit), awaitsTrail {
                awaitsTrail = false
            } else {
                if awaitsTrail { hasLoneSurrogate = true }
                awaitsTrail = unit.map(UTF16.isLeadSurrogate) ?? false
                if let unit, UTF16.isTrailSurrogate(unit) { hasLoneSurrogate = true }
            }
            index = isUnicode ? end : index + 1
        }
    }
}
