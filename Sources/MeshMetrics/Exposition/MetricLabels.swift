import MeshEvents
import MeshLogging

/// The labels of a series, as they are written: `node="pi",tool="whisper"`.
///
/// Their values may be strangers' texts: they are cut and escaped here, and nowhere else.
package struct MetricLabels: Sendable, Hashable {
    /// The longest value, in bytes; a longer one is cut and ends with `…`.
    package static let maximumBytes = 128

    /// The labels with commas between them; empty for none.
    package private(set) var text = ""

    /// No labels.
    package init() {}

    /// One label.
    ///
    /// - Parameters:
    ///   - name: its name, which must be valid: see ``MetricName/label(_:)``.
    ///   - value: its value, any text.
    package init(_ name: String, _ value: String) { text = "\(name)=\"\(Self.escaped(value))\"" }

    /// These labels and one more; see ``init(_:_:)``.
    package func adding(_ name: String, _ value: String) -> MetricLabels {
        var labels = MetricLabels(name, value)
        if !text.isEmpty { labels.text = "\(text),\(labels.text)" }
        return labels
    }

    /// The value between quotes. Control characters, and those that are invisible or turn the direction of text, become
    /// U+FFFD: they would hide in a table what a name is.
    static func escaped(_ value: String) -> String {
        let value = value.truncated(bytes: maximumBytes)
        guard !value.utf8.allSatisfy(isPlain) else { return value }
        var text = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": text += #"\\"#
            case "\"": text += #"\""#
            case "\n": text += #"\n"#
            default: text.unicodeScalars.append(scalar.isHarmful || scalar.isUnseen ? "\u{FFFD}" : scalar)
            }
        }
        return text
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        (0x20...0x7E).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }
}
