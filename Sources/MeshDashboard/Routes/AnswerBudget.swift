import HTTPTypes
import Hummingbird
import MeshConcurrency
import NIOCore

/// Bounds the total bytes of all large answers under way: each is in memory until its client has read it.
///
/// When a new answer does not fit, the oldest ones are ended with their connections. Clients that read finish quickly;
/// clients that do not must not keep others waiting. Answers with the same entity tag (`ETag`) are the same bytes in memory,
/// and count once: what was made once for many clients ends none of them.
final class AnswerBudget: Sendable {
    /// Answers up to this size are not counted: each connection has one at a time, and connections are limited.
    static let smallest = 64 << 10

    /// Which answers are under way. A pure value.
    struct Ledger: Sendable {
        private struct Answer: Sendable {
            let bytes: Int
            let tag: String?
        }

        let maximumBytes: Int
        /// How many bytes are under way.
        private(set) var bytes = 0
        private var answers: [UInt64: Answer] = [:]
        private var lastNumber: UInt64 = 0

        /// - Parameter maximumBytes: the limit for all answers together; a larger answer is sent when it is the only one.
        init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

        /// Takes in an answer.
        ///
        /// - Returns: its number, and those of the older ones that have to make room for it.
        mutating func begin(_ bytes: Int, tag: String?) -> (number: UInt64, ended: [UInt64]) {
            let answer = Answer(bytes: bytes, tag: tag)
            var ended: [UInt64] = []
            while self.bytes + cost(of: answer) > maximumBytes, let oldest = answers.keys.min() {
                end(oldest)
                ended.append(oldest)
            }
            self.bytes += cost(of: answer)
            lastNumber += 1
            answers[lastNumber] = answer
            return (lastNumber, ended)
        }

        /// Takes in that an answer is not under way any more.
        mutating func end(_ number: UInt64) {
            guard let answer = answers.removeValue(forKey: number) else { return }
            bytes -= cost(of: answer)
        }

        /// What an answer takes beside those that are under way: nothing when one of them has the same bytes.
        private func cost(of answer: Answer) -> Int {
            let isThere = answer.tag != nil && answers.values.contains { $0.tag == answer.tag }
            return isThere ? 0 : answer.bytes
        }
    }

    private struct State: Sendable {
        var ledger: Ledger
        var channels: [UInt64: any Channel] = [:]
    }

    private let state: Locked<State>

    /// - Parameter maximumBytes: as for ``Ledger/init(maximumBytes:)``.
    init(maximumBytes: Int = 32 << 20) { state = Locked(State(ledger: Ledger(maximumBytes: maximumBytes))) }

    /// The same answer, counted while it is sent.
    func counted(_ response: Response, on channel: any Channel) -> Response {
        guard let length = response.body.contentLength, length > Self.smallest else { return response }
        let tag = response.headers[.eTag]
        // The event loop tells a writer when to wait. A faster writer would pass on the whole answer, which would then
        // be buffered in the connection, uncounted. So each part waits for one round of the event loop.
        let body = response.body.map { part in
            try await channel.eventLoop.submit {}.get()
            return part
        }
        var response = response
        response.body = ResponseBody(contentLength: length) { writer in
            let number = self.begin(length, tag, channel)
            defer { self.end(number) }
            try await body.write(writer)
        }
        return response
    }

    private func begin(_ bytes: Int, _ tag: String?, _ channel: any Channel) -> UInt64 {
        let (number, ended) = state.withLock { state -> (UInt64, [any Channel]) in
            let (number, ended) = state.ledger.begin(bytes, tag: tag)
            state.channels[number] = channel
            return (number, ended.compactMap { state.channels.removeValue(forKey: $0) })
        }
        for channel in ended { channel.close(promise: nil) }
        return number
    }

    private func end(_ number: UInt64) {
        state.withLock { state in
            state.ledger.end(number)
            state.channels[number] = nil
        }
    }
}
