import MeshEvents
import MeshLogging

/// What others wrote: an object of JSON, bounded in bytes, whose texts show what a reader would not see.
///
/// Each text, names of members included, is cut when it is long, and its control characters, bidirectional controls, tags and
/// other invisible characters become visible escapes, as on a terminal (``SafeText``). In the JSON, `<`, `>`, `&` and
/// `` ` `` are written as escapes, so that it closes no tag and no code block of a text around it; the values stay the same.
struct UntrustedData: Sendable {
    /// How much of what others wrote is passed on.
    struct Limits: Sendable {
        /// The most bytes of one text.
        var text = 2_048
        /// The most bytes of the name of a member.
        var name = 128
        /// The most elements of a list, and members of an object.
        var elements = 512
        /// How deep values may be nested.
        var depth = 16
        /// The most bytes of JSON of one value that is added.
        var value = 16 << 10
        /// The most bytes of JSON altogether.
        var total = 48 << 10
    }

    private let limits: Limits
    private var members: [(name: String, json: String)] = []
    /// How many bytes ``json`` has.
    private(set) var byteCount = 2
    /// Whether a text was cut, or a value was left out.
    private(set) var isCut = false

    init(_ limits: Limits = Limits()) { self.limits = limits }

    /// The object, as one line of JSON.
    var json: String {
        let cut = isCut ? [(name: "cut", json: "true")] : []
        return "{" + (members + cut).map { "\"\($0.name)\":\($0.json)" }.joined(separator: ",") + "}"
    }

    /// What the note about the cut takes.
    private static let noteBytes = 12

    private var left: Int { limits.total - byteCount - Self.noteBytes }

    /// Adds a member; cuts the value to what is left.
    ///
    /// - Parameter name: the member's name, this program's own.
    mutating func add(_ name: String, _ value: JSONValue) {
        let overhead = name.utf8.count + 4
        var cutter = Cutter(limits, left: min(limits.value, left - overhead))
        guard let json = cutter.json(value, depth: 0) else { return isCut = true }
        if cutter.hasCut { isCut = true }
        members.append((name, json))
        byteCount += json.utf8.count + overhead
    }

    /// Adds a list; elements for which there is no room are left out whole.
    ///
    /// - Parameters:
    ///   - name: the member's name, this program's own.
    ///   - values: the elements.
    ///   - keepsLast: whether the last ones are kept, not the first.
    ///   - reserve: how many bytes are kept free for what is added later.
    /// - Returns: How many elements are in the list.
    @discardableResult
    mutating func add(
        _ name: String,
        list values: some BidirectionalCollection<JSONValue>,
        keepsLast: Bool = false,
        reserve: Int = 512
    ) -> Int {
        var elements: [String] = []
        var room = left - name.utf8.count - 6 - reserve
        for value in keepsLast ? AnySequence(values.reversed()) : AnySequence(values) {
            var cutter = Cutter(limits, left: limits.value)
            guard elements.count < limits.elements, var json = cutter.json(value, depth: 1) else { break }
            if json.utf8.count > room {
                // One is better than none.
                cutter = Cutter(limits, left: room)
                guard elements.isEmpty, let short = cutter.json(value, depth: 1) else { break }
                json = short
            }
            if cutter.hasCut { isCut = true }
            elements.append(json)
            room -= json.utf8.count + 1
        }
        let json = "[" + (keepsLast ? elements.reversed() : elements).joined(separator: ",") + "]"
        members.append((name, json))
        byteCount += json.utf8.count + name.utf8.count + 4
        return elements.count
    }

    /// A text as it is passed on: cut, and with escapes for what is not seen.
    static func text(_ text: String, bytes: Int) -> String {
        // Cut before, so that a long text costs no more than a short one, and after, because escapes are longer.
        let safe = SafeText.escaped(text.truncated(bytes: bytes))
        // Words can be hidden in characters that a person does not see, and a model reads.
        guard safe.unicodeScalars.contains(where: \.isUnseen) else { return safe.truncated(bytes: bytes) }
        return safe.unicodeScalars.map { $0.isUnseen ? $0.jsonEscape : String($0) }.joined().truncated(bytes: bytes)
    }

    /// JSON in which no character could end a tag or a block of code around it.
    private static func neutral(_ json: String) -> String {
        // These characters stand in strings only, and never behind a backslash of their own.
        guard json.utf8.contains(where: { $0 == 0x3C || $0 == 0x3E || $0 == 0x26 || $0 == 0x60 }) else { return json }
        var result = ""
        result.reserveCapacity(json.utf8.count + 32)
        for scalar in json.unicodeScalars {
            switch scalar {
            case "<": result += #"\u003c"#
            case ">": result += #"\u003e"#
            case "&": result += #"\u0026"#
            case "`": result += #"\u0060"#
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Writes a value as JSON, as far as there is room.
    private struct Cutter {
        private let limits: Limits
        /// How many bytes may still be written.
        private var left: Int
        private(set) var hasCut = false

        init(_ limits: Limits, left: Int) {
            self.limits = limits
            self.left = left
        }

        /// The value; `nil` when there is no room for any of it.
        mutating func json(_ value: JSONValue, depth: Int) -> String? {
            switch value {
            case .null: return take("null")
            case .bool(let bool): return take(bool ? "true" : "false")
            case .number(let number):
                // Its digits are those of the event: there may be a million, or an exponent that no reader takes.
                let text = number.description
                guard text.utf8.count <= 32, number.double.isFinite else { return string(text, limits.text) }
                return take(text)
            case .string(let text): return string(text, limits.text)
            case .array(let elements): return list(elements, depth)
            case .object(let object): return members(object, depth)
            }
        }

        private mutating func take(_ json: String) -> String? {
            guard json.utf8.count <= left else {
                hasCut = true
                return nil
            }
            left -= json.utf8.count
            return json
        }

        private mutating func string(_ text: String, _ limit: Int) -> String? {
            var bytes = min(limit, left - 2)
            while bytes >= 4 {
                let shown = UntrustedData.text(text, bytes: bytes)
                let json = UntrustedData.neutral(JSONValue.string(shown).description)
                if json.utf8.count <= left {
                    // What was cut ends with an ellipsis, which is then more than the text had there.
                    if text.utf8.count > bytes || shown.hasSuffix("…") && !text.hasSuffix("…") { hasCut = true }
                    left -= json.utf8.count
                    return json
                }
                bytes /= 2
            }
            return text.isEmpty ? take(#""""#) : take(#""…""#)
        }

        private mutating func list(_ elements: [JSONValue], _ depth: Int) -> String? {
            guard depth < limits.depth else { return tooDeep() }
            guard take("[]") != nil else { return nil }
            var texts: [String] = []
            for element in elements {
                // Room for the comma.
                left -= 1
                guard texts.count < limits.elements, let json = json(element, depth: depth + 1) else {
                    hasCut = true
                    break
                }
                texts.append(json)
            }
            return "[" + texts.joined(separator: ",") + "]"
        }

        private mutating func members(_ object: JSONObject, _ depth: Int) -> String? {
            guard depth < limits.depth else { return tooDeep() }
            guard take("{}") != nil else { return nil }
            var texts: [String] = []
            // What is large comes last, so that it pushes nothing out.
            for (name, value) in object.filter({ !$0.value.isContainer }) + object.filter({ $0.value.isContainer }) {
                // Room for the comma and the colon.
                left -= 2
                guard texts.count < limits.elements, let name = string(name, limits.name),
                    let json = json(value, depth: depth + 1)
                else {
                    hasCut = true
                    break
                }
                texts.append("\(name):\(json)")
            }
            return "{" + texts.joined(separator: ",") + "}"
        }

        private mutating func tooDeep() -> String? {
            hasCut = true
            return take(#""…""#)
        }
    }
}

extension JSONValue {
    fileprivate var isContainer: Bool { array != nil || object != nil }
}
