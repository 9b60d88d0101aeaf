import MeshEvents
import Synchronization

/// A transport that passes everything on and keeps the last payload, the exact bytes that were sent.
final class RecordingTransport: EventTransport {
    private let base: any EventTransport
    private let last = Mutex("")

    init(_ base: some EventTransport) { self.base = base }

    /// The last payload, as text.
    var lastPayload: String { last.withLock { $0 } }

    var maximumPayload: Int? { base.maximumPayload }

    func publish(_ message: OutgoingMessage) throws(MeshEventsError) {
        try base.publish(message)
        let text = String(decoding: message.payload, as: UTF8.self)
        last.withLock { $0 = text }
    }

    func waitUntilWritable() async throws(MeshEventsError) { try await base.waitUntilWritable() }

    func flush(timeout: Duration) async throws(MeshEventsError) { try await base.flush(timeout: timeout) }

    func subscribe(
        to subject: String,
        queueGroup: String?,
        receiver: any MessageReceiver
    ) async throws(MeshEventsError) -> any TransportSubscription {
        try await base.subscribe(to: subject, queueGroup: queueGroup, receiver: receiver)
    }
}
