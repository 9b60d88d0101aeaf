import MeshEvents
import NATSClient

/// Passes messages of the client to a receiver of the core, in place.
final class NATSReceiver: NATSMessageReceiver {
    private let receiver: any MessageReceiver

    init(_ receiver: any MessageReceiver) { self.receiver = receiver }

    func receive(_ message: NATSMessageView) {
        receiver.receive(
            IncomingMessage(subject: message.subject, payload: message.payload, headers: message.headers)
        )
    }

    func receiveBatchEnd() { receiver.receiveBatchEnd() }

    func receiveEnd(_ error: NATSError?) { receiver.receiveEnd(error.map { MeshEventsError($0) }) }
}

/// A subscription of the client as one of the core.
final class NATSTransportSubscription: TransportSubscription {
    private let handle: NATSSubscriptionHandle

    init(_ handle: NATSSubscriptionHandle) { self.handle = handle }

    func cancel() { handle.cancel() }

    func drain(timeout: Duration) async throws(MeshEventsError) {
        do throws(NATSError) {
            try await handle.drain(timeout: timeout)
        } catch {
            throw MeshEventsError(error)
        }
    }
}
