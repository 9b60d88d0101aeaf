public import MeshEvents
import Synchronization

/// A transport that does nothing, to measure everything else; it delivers what it is told to.
public final class NowhereTransport: EventTransport {
    private let receiver = Mutex<(any MessageReceiver)?>(nil)

    /// Creates a transport without a subscriber.
    public init() {}

    /// Unlimited.
    public var maximumPayload: Int? { nil }

    /// Forgets the message.
    public func publish(_ message: OutgoingMessage) throws(MeshEventsError) {}
    /// Returns at once.
    public func waitUntilWritable() async throws(MeshEventsError) {}
    /// Returns at once.
    public func flush(timeout: Duration) async throws(MeshEventsError) {}

    /// Keeps the receiver: the last one gets what is delivered.
    public func subscribe(
        to subject: String,
        queueGroup: String?,
        receiver: any MessageReceiver
    ) async throws(MeshEventsError) -> any TransportSubscription {
        self.receiver.withLock { $0 = receiver }
        return NowhereSubscription()
    }

    /// Delivers a message `count` times, on the calling thread, with an end of the batch after every `batch` of them.
    public func deliver(_ payload: [UInt8], count: Int, batch: Int) throws(BenchmarkError) {
        guard let receiver = receiver.withLock({ $0 }) else { throw BenchmarkError("nobody has subscribed") }
        Array(Work.subject.utf8).withUnsafeBytes { subject in
            payload.withUnsafeBytes { payload in
                let message = IncomingMessage(subject: subject.bytes, payload: payload.bytes)
                for number in 1...count {
                    receiver.receive(message)
                    if number.isMultiple(of: batch) || number == count { receiver.receiveBatchEnd() }
                }
            }
        }
    }
}

private final class NowhereSubscription: TransportSubscription {
    func cancel() {}
    func drain(timeout: Duration) async throws(MeshEventsError) {}
}
