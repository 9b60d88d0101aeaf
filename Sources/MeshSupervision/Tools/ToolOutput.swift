import Logging
import MeshConcurrency
import MeshEvents
import MeshLogging
import ProcessGuard

/// Logs a tool's output, keeps it in files, and keeps its last lines.
final class ToolOutput: Sendable {
    private struct State {
        /// The last lines of the present run.
        var crash = CrashOutput()
        var run = 0
        /// Whether the output is kept in files.
        var isKept = false
    }

    private let logger: Logger
    private let ring: LogRing?
    private let state = Locked(State())

    /// - Parameter ring: keeps all of it; `nil` for none.
    init(tool: String, logger: Logger, ring: LogRing?) {
        self.ring = ring
        var logger = logger
        logger[key: .tool] = "\(tool)"
        self.logger = logger
    }

    /// The last lines of the present run as they were written, oldest first.
    var lastLines: [String] { state.withLock { $0.crash }.lines }

    /// Begins a run of the tool.
    ///
    /// - Returns: the receiver of the run's output. What comes late from an earlier run does not count as this run's.
    func begin(_ tool: ToolSpecification, _ redaction: Redaction) -> @Sendable ([ProcessOutput]) -> Void {
        let run = state.withLock { state in
            state.run += 1
            state.crash.begin(limit: tool.crashOutput, redaction: redaction)
            state.isKept = tool.logs.isKept
            return state.run
        }
        ring?.change(tool.logs)
        return { self.receive($0, of: run) }
    }

    /// The last lines of the present run, as `tool.crashed` publishes them.
    func crashLines(_ redaction: Redaction) -> [String] { state.withLock { $0.crash }.published(redaction) }

    /// Adds a line about the tool to the files.
    func note(_ text: String) {
        if state.withLock({ $0.isKept }) { ring?.append(text) }
    }

    private func receive(_ batch: [ProcessOutput], of run: Int) {
        let isKept = state.withLock { state in
            if run == state.run {
                for output in batch {
                    switch output {
                    case .line(let stream, let line), .excess(let stream, let line): state.crash.append(line, stream)
                    case .dropped: break
                    }
                }
            }
            return state.isKept
        }
        // Before it is logged: that may take longer, and a reader of the files may wait.
        if isKept { ring?.append(batch.lazy.compactMap(LogEntry.init)) }
        for output in batch {
            switch output {
            case .line(let stream, let line): logger.info("\(line)", [.output: "\(stream.rawValue)"])
            case .excess: break
            case .dropped(let count):
                logger.warning("\(count) lines dropped: the tool writes more than is logged in a second")
            }
        }
    }
}

extension LogEntry {
    /// A line of a tool; `nil` for what is none.
    fileprivate init?(_ output: ProcessOutput) {
        switch output {
        case .line(.stdout, let line), .excess(.stdout, let line): self.init(stream: .stdout, line: line)
        case .line(.stderr, let line), .excess(.stderr, let line): self.init(stream: .stderr, line: line)
        case .dropped: return nil
        }
    }
}
