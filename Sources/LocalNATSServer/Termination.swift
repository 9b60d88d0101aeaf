import ProcessGuard

extension LocalNATSServer {
    /// How and why a server's process ended.
    public struct Termination: Sendable, CustomStringConvertible {
        /// How a process ended.
        public enum Reason: Sendable, Hashable, CustomStringConvertible {
            /// It exited by itself with this code.
            case exited(code: Int32)
            /// This signal ended it.
            case signaled(Int32)
            /// It never ran, for the reason given.
            case notLaunched(String)

            init(_ end: ProcessEnd) {
                self =
                    switch end {
                    case .exited(let code): .exited(code: code)
                    case .signaled(let signal): .signaled(signal)
                    case .notLaunched(let why): .notLaunched(why)
                    }
            }

            /// For example `exited with code 1`.
            public var description: String {
                switch self {
                case .exited(let code): "exited with code \(code)"
                case .signaled(let signal): "was ended by signal \(signal)"
                case .notLaunched(let why): "could not be launched (\(why))"
                }
            }
        }

        /// How it ended.
        public let reason: Reason
        /// Whether the caller asked for it, with `stop`, `restart` or `kill`.
        public let wasRequested: Bool
        /// The last lines of its log, at most 20, oldest first.
        public let lastLines: [String]

        /// The errors among the last lines, or the last line, without time stamps.
        var lastWords: String { Self.lastWords(of: lastLines) }

        static func lastWords(of lines: [String]) -> String {
            let errors = lines.filter { $0.contains("[FTL]") || $0.contains("[ERR]") }
            return (errors.isEmpty ? lines.suffix(3) : errors[...]).map(withoutPrefix).joined(separator: " ")
        }

        /// `[7] 2026/01/31 10:56:51.02 [FTL] text` without all that comes before the text.
        private static func withoutPrefix(_ line: String) -> String {
            for level in ["[FTL] ", "[ERR] ", "[INF] ", "[WRN] "] {
                if let range = line.firstRange(of: level) { return String(line[range.upperBound...]) }
            }
            return line
        }

        /// For example `nats-server exited with code 1: JetStream failed`.
        public var description: String {
            lastWords.isEmpty || wasRequested
                ? "nats-server \(reason)" : "nats-server \(reason). It said: \(lastWords)"
        }
    }
}
