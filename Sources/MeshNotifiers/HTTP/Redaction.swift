/// Removes a target's secrets from a text: what a target answered can repeat the request.
struct Redaction: Sendable {
    /// Shorter secrets are not looked for: they would be found everywhere.
    private static let shortest = 4
    private static let placeholder = "[redacted]"

    /// What is looked for, the longest first.
    private let forms: [String]

    /// Creates a redaction of these texts, in the notations in which an answer could have them.
    init(_ secrets: [String]) {
        var forms: Set<String> = []
        for secret in secrets {
            let plain = [secret, Self.decoded(secret)]
            for text in plain {
                forms.formUnion([
                    text, text.replacing("/", with: #"\/"#), text.replacing("&", with: "&amp;"),
                    text.replacing("\"", with: #"\""#), text.replacing("/", with: "%2F"),
                ])
            }
        }
        self.forms = forms.filter { $0.utf8.count >= Self.shortest }.sorted {
            ($0.utf8.count, $0) > ($1.utf8.count, $1)
        }
    }

    /// The text without the secrets, and without what may be the beginning of one at its end: the text may have been cut
    /// there.
    func redact(_ text: String) -> String {
        var text = text
        for form in forms where text.contains(form) { text = text.replacing(form, with: Self.placeholder) }
        for form in forms {
            for length in stride(from: form.count - 1, through: Self.shortest, by: -1)
            where text.hasSuffix(form.prefix(length)) {
                text.removeLast(length)
                text += Self.placeholder
                break
            }
        }
        return text
    }

    private static func decoded(_ text: String) -> String {
        guard text.contains("%") else { return text }
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
