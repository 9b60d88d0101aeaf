import Foundation

/// Prints a command's messages on standard error.
enum Diagnostics {
    /// Prints a message as one line, even when it has line breaks.
    static func say(_ message: String) {
        write("mesh-events: \(oneLine(message))\n")
    }

    /// The text as one line that is safe on a terminal; cut when it is too long, as texts of other clients can be.
    static func oneLine(_ message: String) -> String {
        SafeText.escaped(message.split(whereSeparator: \.isNewline).joined(separator: " "), columns: longestLine)
    }

    private static let longestLine = 4_096

    /// Clears the `^C` that a terminal shows at the beginning of the line, so that the next row begins there.
    static func clearInterrupt() {
        if Terminal.error.isTerminal { write("\r\u{1B}[K") }
    }

    /// Writes the text unchanged; text that cannot be written is lost.
    static func write(_ text: String) {
        var text = text
        text.withUTF8 { _ = Foundation.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
