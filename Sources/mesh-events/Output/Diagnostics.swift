import Foundation

/// What a command says besides its events, on standard error.
enum Diagnostics {
    /// Says one line, whatever the text holds.
    static func say(_ message: String) {
        write("mesh-events: \(oneLine(message))\n")
    }

    /// The text as one line that is safe on a terminal, cut when a stranger's words make it too long to read.
    static func oneLine(_ message: String) -> String {
        SafeText.escaped(message.split(whereSeparator: \.isNewline).joined(separator: " "), columns: longestLine)
    }

    private static let longestLine = 4_096

    /// Clears the `^C` that a terminal shows at the beginning of the line, so that the next row begins there.
    static func clearInterrupt() {
        if Terminal.error.isTerminal { write("\r\u{1B}[K") }
    }

    /// Writes text as it is; what cannot be written is lost.
    static func write(_ text: String) {
        var text = text
        text.withUTF8 { _ = Foundation.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
