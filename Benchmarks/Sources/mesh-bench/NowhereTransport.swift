import MeshEvents
import Synchronization

/// A transport that does nothing, to measure everything else; it delivers what it is told to.
final class NowhereTransport: EventTransport {
    private let receiver = Mutex<(any MessageReceiver)?>(nil)

    var maximumPayload: Int? { nil }

    func publish(_ message: OutgoingMessage) throws(MeshEventsError) {}
    func waitUntilWritable() async throws(MeshEventsError) {}
    func flush(timeout: Duration) async throws(MeshEventsError) {}

    func subscribe(
        to subject: String,
        queueGroup: String?,
        receiver: any MessageReceiver
    ) async throws(MeshEventsError) -> any TransportSubscription {
        self.receiver.withLock { $0 = receiver }
        return NowhereSubscription()
    }

    /// Delivers a message `count` times, on the calling thread, with an end of the batch after every `batch` of them.
    func deliver(_ payload: [UInt8], count: Int, batch: Int) throws {
        guard let receiver = receiver.withLock({ $0 }) else { throw BenchmarkError("nobody has subscribed") }
        Array(Work.subject.utf8).withUnsafeBytes { subject in
            payload.withUnsafeBytes { payload in
                let message = IncomingMessage(subject: subject, payload: payload)
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
