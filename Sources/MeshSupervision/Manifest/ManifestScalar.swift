import MeshEvents

/// The value of a plain scalar by the core schema of YAML 1.2, in which `no` is text, not `false`.
enum ManifestScalar {
    static func value(plain text: String) -> JSONValue {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return JSONValue(Double.infinity)
        case "-.inf", "-.Inf", "-.INF": return JSONValue(-Double.infinity)
        case ".nan", ".NaN", ".NAN": return JSONValue(Double.nan)
        default: return number(text) ?? .string(text)
        }
    }

    private static func number(_ text: String) -> JSONValue? {
        guard let first = text.utf8.first, "+-.0123456789".utf8.contains(first) else { return nil }
        if text.hasPrefix("0x") { return Int64(text.dropFirst(2), radix: 16).map { JSONValue($0) } }
        if text.hasPrefix("0o") { return Int64(text.dropFirst(2), radix: 8).map { JSONValue($0) } }
        guard text.utf8.allSatisfy({ "+-.eE0123456789".utf8.contains($0) }), text.utf8.contains(where: isDigit) else {
            return nil
        }
        // A valid JSON number keeps its spelling, with every digit.
        if let data = try? EventData(json: "{\"value\":\(text)}"), let value = data["value"]?.value { return value }
        if let integer = Int64(text) { return JSONValue(integer) }
        return Double(text).map { JSONValue($0) }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
