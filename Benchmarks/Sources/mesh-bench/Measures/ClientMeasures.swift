import EventWork
import NATSClient
import NIOCore

/// Our NATS client without events: payloads built beforehand, as the yardstick has them.
struct ClientMeasures: Sendable {
    private let publisher: NATSConnection
    private let subscriber: NATSConnection
    private let payload: ByteBuffer

    init(url: String) async throws {
        publisher = try await NATSConnection.connect(to: url)
        subscriber = try await NATSConnection.connect(to: url)
        payload = ByteBuffer(bytes: try Work.payload())
    }

    /// Publishes, until the server has it all.
    func publish(_ count: Int) -> Measure {
        {
            let start = now()
            try await publishAll(count)
            try await publisher.flush(timeout: .seconds(30))
            return [rate(count, since: start)]
        }
    }

    /// Publishes, until a receiver has had it all.
    func receive(_ count: Int) -> Measure {
        {
            let receiver = CountingReceiver(target: count)
            let subscription = try await subscriber.subscribe(to: Work.subject, receiver: receiver)
            let start = now()
            try await publishAll(count)
            await receiver.done.wait()
            let result = rate(count, since: start)
            subscription.cancel()
            guard receiver.bytes == count * payload.readableBytes else {
                throw BenchmarkError("received \(receiver.bytes) bytes of \(count * payload.readableBytes)")
            }
            return [result]
        }
    }

    @concurrent
    private func publishAll(_ count: Int) async throws {
        for _ in 0..<count {
            while true {
                do throws(NATSError) {
                    try publisher.publish(payload, to: Work.subject)
                    break
                } catch {
                    guard error.code == .bufferFull else { throw error }
                    try await publisher.waitUntilWritable()
                }
            }
        }
    }
}

/// Counts messages, and tells when there are `target`.
///
/// Unchecked because the client calls it from one thread, and readers have waited for the gate.
final class CountingReceiver: NATSMessageReceiver, @unchecked Sendable {
    let done = Gate()
    private let target: Int
    private(set) var count = 0
    private(set) var bytes = 0
    /// The receiving thread's processor time from the first message to the last, in nanoseconds.
    private(set) var processorTime = 0.0

    init(target: Int) { self.target = target }

    func receive(_ message: NATSMessageView) {
        if count == 0 { processorTime = threadTime() }
        count += 1
        bytes += message.payload.byteCount
        guard count == target else { return }
        processorTime = threadTime() - processorTime
        done.open()
    }

    func receiveBatchEnd() {}
    func receiveEnd(_ error: NATSError?) {}
}
