import MeshConcurrency
import MeshEvents
import Synchronization

/// One subscription in an in-memory mesh. Only the mesh's delivery calls the receiver, so calls are never concurrent.
final class InMemorySubscription: TransportSubscription {
    let pattern: [UInt8]
    let queueGroup: String?
    private let mesh: InMemoryMesh
    private let receiver: any MessageReceiver
    private let isCancelled = Atomic(false)
    private let onEnd: @Sendable (InMemorySubscription) -> Void

    init(
        mesh: InMemoryMesh,
        pattern: [UInt8],
        queueGroup: String?,
        receiver: any MessageReceiver,
        onEnd: @escaping @Sendable (InMemorySubscription) -> Void
    ) {
        self.mesh = mesh
        self.pattern = pattern
        self.queueGroup = queueGroup
        self.receiver = receiver
        self.onEnd = onEnd
    }

    func cancel() {
        end(because: nil)
    }

    /// Stops delivery at once; the receiver gets the error.
    func end(because error: MeshEventsError?) {
        isCancelled.store(true, ordering: .releasing)
        mesh.unsubscribe(self, error: error)
        onEnd(self)
    }

    func drain(timeout: Duration) async throws(MeshEventsError) {
        let completion = OneTimeSignal()
        mesh.unsubscribe(self, error: nil, completion: completion)
        onEnd(self)
        try await completion.wait(until: .now + timeout, for: "messages in flight to arrive")
    }

    // MARK: From the mesh's delivery

    func deliver(_ message: InMemoryMesh.Message) {
        guard !isCancelled.load(ordering: .acquiring) else { return }
        message.subject.withUnsafeBytes { subject in
            message.payload.withUnsafeBytes { payload in
                message.headers.withUnsafeBytes { headers in
                    receiver.receive(
                        IncomingMessage(subjectBytes: subject, payloadBytes: payload, headerBytes: headers)
                    )
                }
            }
        }
    }

    func endBatch() {
        guard !isCancelled.load(ordering: .acquiring) else { return }
        receiver.receiveBatchEnd()
    }

    func end(_ error: MeshEventsError?) {
        receiver.receiveEnd(error)
    }
}
