import Hummingbird
import Locking
import NIOCore

/// Bounds the total bytes of all large answers under way: each is in memory until its client has read it.
///
/// When a new answer does not fit, the oldest ones are ended with their connections. Clients that read finish quickly;
/// clients that do not must not keep others waiting.
final class AnswerBudget: Sendable {
    /// Answers up to this size are not counted: each connection has one at a time, and connections are limited.
    static let smallest = 64 << 10

    private struct Answer: Sendable {
        let bytes: Int
        let channel: any Channel
    }

    private struct State {
        var answers: [UInt64: Answer] = [:]
        var bytes = 0
        var lastNumber: UInt64 = 0
    }

    private let maximumBytes: Int
    private let state = Locked(State())

    /// - Parameter maximumBytes: the limit for all answers together; a larger answer is sent when it is the only one.
    init(maximumBytes: Int = 32 << 20) { self.maximumBytes = maximumBytes }

    /// How many bytes of answers are under way.
    var bytes: Int { state.withLock { $0.bytes } }

    /// The same answer, counted while it is sent.
    func counted(_ response: Response, on channel: any Channel) -> Response {
        guard let length = response.body.contentLength, length > Self.smallest else { return response }
        // The event loop tells a writer when to wait. A faster writer would pass on the whole answer, which would then
        // be buffered in the connection, uncounted. So each part waits for one round of the event loop.
        let body = response.body.map { part in
            try await channel.eventLoop.submit {}.get()
            return part
        }
        var response = response
        response.body = ResponseBody(contentLength: length) { writer in
            let number = self.begin(length, on: channel)
            defer { self.end(number) }
            try await body.write(writer)
        }
        return response
    }

    private func begin(_ bytes: Int, on channel: any Channel) -> UInt64 {
        let (number, ended) = state.withLock { state in
            var ended: [any Channel] = []
            while state.bytes + bytes > maximumBytes, let oldest = state.answers.keys.min() {
                if let answer = Self.remove(oldest, &state) { ended.append(answer.channel) }
            }
            state.lastNumber += 1
            state.answers[state.lastNumber] = Answer(bytes: bytes, channel: channel)
            state.bytes += bytes
            return (state.lastNumber, ended)
        }
        for channel in ended { channel.close(promise: nil) }
        return number
    }

    private func end(_ number: UInt64) { state.withLock { _ = Self.remove(number, &$0) } }

    private static func remove(_ number: UInt64, _ state: inout State) -> Answer? {
        guard let answer = state.answers.removeValue(forKey: number) else { return nil }
        state.bytes -= answer.bytes
        return answer
    }
}
