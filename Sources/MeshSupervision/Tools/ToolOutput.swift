import Logging
import MeshConcurrency
import MeshEvents
import MeshLogging
import ProcessGuard

/// Logs a tool's output, and keeps the last lines of its standard error.
final class ToolOutput: Sendable {
    private static let kept = 20

    private let logger: Logger
    private let lines = Locked<[String]>([])

    init(tool: String, logger: Logger) {
        var logger = logger
        logger[key: .tool] = "\(tool)"
        self.logger = logger
    }

    /// The last lines of its standard error, oldest first.
    var lastLines: [String] { lines.withLock { $0 } }

    func receive(_ output: ProcessOutput) {
        switch output {
        case .line(let stream, let line):
            if stream == .stderr {
                lines.withLock { lines in
                    if lines.count == Self.kept { lines.removeFirst() }
                    lines.append(line)
                }
            }
            logger.info("\(line)", [.output: "\(stream.rawValue)"])
        case .dropped(let count):
            logger.warning("\(count) lines dropped: the tool writes more than is logged in a second")
        }
    }
}
