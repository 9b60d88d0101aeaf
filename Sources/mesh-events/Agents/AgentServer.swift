import MeshConcurrency
import MeshEvents
import Synchronization

/// Serves one client over lines: takes its messages, runs the tools it calls, and sends the answers.
///
/// What a client can make it keep is bounded: so many calls at once, each with an answer of bounded size, and nothing more is
/// read while an answer that needs no call waits to be taken.
final class AgentServer: Sendable {
    /// How often a client that asks for it hears how far a call is.
    private static let progressInterval: Duration = .seconds(5)

    private struct State: Sendable {
        var session: AgentSession
        var calls: [Int: StopRequest] = [:]
    }

    private let state: Mutex<State>
    private let output: AgentOutput
    private let patience: Duration

    /// - Parameters:
    ///   - tools: the tools that the client can call.
    ///   - output: where the answers go.
    ///   - limits: how much the client may ask for.
    ///   - patience: how long calls may go on, and answers may wait to be taken, when the input has ended.
    init(
        _ tools: AgentToolbox,
        _ output: AgentOutput,
        limits: AgentSession.Limits = AgentSession.Limits(),
        patience: Duration = .seconds(30)
    ) {
        state = Mutex(State(session: AgentSession(tools, limits)))
        self.output = output
        self.patience = patience
    }

    /// Serves until the input ends, and all calls with it; or until the client takes no answers, or the task is cancelled.
    ///
    /// - Throws: `CommandFailure` when the input cannot be read.
    func run(_ reader: LineReader) async throws {
        let isAtEnd = OneTimeSignal()
        let failure = await withBackgroundTask {
            guard (try? await isAtEnd.wait()) != nil, (try? await Task.sleep(for: self.patience)) != nil else { return }
            for call in self.state.withLock({ Array($0.calls.values) }) { call.stop(.cancelled) }
            self.output.giveUp()
        } _: {
            await withTaskCancellationHandler {
                await self.serveAll(reader, isAtEnd)
            } onCancel: {
                self.output.giveUp()
            }
        }
        switch failure {
        case nil, is OutputClosed, is CancellationError: return
        case let failure?: throw failure
        }
    }

    /// Serves until the input ends, and waits for the calls.
    ///
    /// - Returns: Why it has ended before the input.
    private func serveAll(_ reader: LineReader, _ isAtEnd: OneTimeSignal) async -> (any Error)? {
        await withDiscardingTaskGroup(returning: (any Error)?.self) { group in
            defer { isAtEnd.send() }
            do {
                try await self.serve(reader, &group)
                return nil
            } catch {
                group.cancelAll()
                return error
            }
        }
    }

    private func serve(_ source: LineReader, _ group: inout DiscardingTaskGroup) async throws {
        var reader = source
        while let line = try await reader.next() {
            let actions = state.withLock { state in
                line.isTooLong ? state.session.receiveTooLong() : state.session.receive(line.bytes)
            }
            for action in actions {
                switch action {
                case .send(let text): try await output.write(text)
                case .cancel(let number): state.withLock { $0.calls[number] }?.stop(.cancelled)
                case .start(let call):
                    let stop = StopRequest()
                    state.withLock { $0.calls[call.number] = stop }
                    group.addTask { await self.perform(call, stop) }
                }
            }
        }
    }

    /// Runs a call, and sends its answer.
    private func perform(_ call: AgentCall, _ stop: StopRequest) async {
        if let answer = await answer(call, stop) {
            let boundary = String(UInt64.random(in: UInt64.min...UInt64.max), radix: 16)
            let actions = state.withLock { $0.session.finished(call.number, answer, boundary: boundary) }
            for case .send(let line) in actions { try? await output.write(line) }
        }
        state.withLock { state in
            state.calls[call.number] = nil
            state.session.ended(call.number)
        }
    }

    /// The answer of a call; `nil` when it is not wanted any more.
    private func answer(_ call: AgentCall, _ stop: StopRequest) async -> AgentAnswer? {
        do {
            let arguments = try AgentArguments(call.arguments, call.tool.fields)
            let limit = call.tool.limit(arguments)
            let answer = try await withProgress(of: call, limit) {
                try await stop.withTimeLimit(limit) {
                    try await stop.race { try await call.tool.run(arguments, call.client) }
                }
            }
            guard answer == nil, case .timeUp = stop.reason else { return answer }
            return AgentAnswer(
                AgentFailure(
                    .timeout,
                    "The call has taken longer than \(limit.components.seconds) s. Call again, or ask for less."
                )
            )
        } catch {
            return Task.isCancelled ? nil : AgentAnswer(AgentFailure(describing: error))
        }
    }

    /// Runs `body`, and tells the client meanwhile for how long, when it has asked for that.
    private func withProgress<Result>(
        of call: AgentCall,
        _ limit: Duration,
        _ body: () async throws -> Result
    ) async throws -> Result {
        guard call.wantsProgress else { return try await body() }
        let begun = ContinuousClock.now
        return try await withBackgroundTask(
            {
                while (try? await Task.sleep(for: Self.progressInterval)) != nil {
                    let seconds = Int((ContinuousClock.now - begun).components.seconds)
                    let line = self.state.withLock { state in
                        state.session.progress(call.number, seconds: seconds, of: Int(limit.components.seconds))
                    }
                    guard let line, (try? await self.output.write(line)) != nil else { return }
                }
            },
            body
        )
    }
}
