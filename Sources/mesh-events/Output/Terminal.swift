import Foundation

/// What is known of the terminal behind a file descriptor.
struct Terminal: Sendable {
    let descriptor: Int32

    static let output = Terminal(descriptor: STDOUT_FILENO)
    static let error = Terminal(descriptor: STDERR_FILENO)

    /// Whether a person looks at it.
    var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Its width in columns at this moment; `nil` when it is no terminal or does not say.
    var width: Int? { size.flatMap { $0.ws_col > 0 ? Int($0.ws_col) : nil } }

    /// Its height in rows at this moment; `nil` when it is no terminal or does not say.
    var height: Int? { size.flatMap { $0.ws_row > 0 ? Int($0.ws_row) : nil } }

    private var size: winsize? {
        guard isTerminal else { return nil }
        var size = winsize()
        return ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 ? size : nil
    }

    /// JSON as it may be written there: for a person, without scalars that could harm the terminal; the values stay the
    /// same.
    func safe(json: String) -> String { isTerminal ? SafeText.escaped(json) : json }

    /// Whether to use colours: on a terminal that has them, unless `NO_COLOR` is set (no-color.org).
    func usesColor(_ environment: [String: String] = ProcessInfo.processInfo.environment) -> Bool {
        isTerminal && Self.allowsColor(environment)
    }

    static func allowsColor(_ environment: [String: String]) -> Bool {
        (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
    }
}
