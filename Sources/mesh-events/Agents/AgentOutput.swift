import Dispatch

/// Sends a client its lines, one after the other. A client that reads nothing holds up those who write to it, and no thread that
/// other work needs.
struct AgentOutput: Sendable {
    private let stop = StopRequest()
    private let output: LineOutput
    private let queue = DispatchQueue(label: "mesh-events.agent.output")

    /// - Parameter descriptor: where the lines go.
    init(descriptor: Int32) { output = LineOutput(descriptor: descriptor, stop: stop) }

    /// Writes a line; returns when it was taken.
    ///
    /// - Throws: `OutputClosed` when the client is gone, or after ``giveUp()``.
    func write(_ line: String) async throws {
        let output = output
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            queue.async { continuation.resume(with: Result { try output.write(line) }) }
        }
    }

    /// Gives up lines that the client does not take.
    func giveUp() { stop.stop(.cancelled) }
}
