import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import Synchronization

/// Knows how many of its subscriptions have not been cancelled.
final class CountingTransport: EventTransport {
    private let transport: InMemoryTransport
    private let count = SharedCount()

    init(_ transport: InMemoryTransport) {
        self.transport = transport
    }

    var active: Int { count.value }
    var maximumPayload: Int? { transport.maximumPayload }

    func publish(_ message: OutgoingMessage) throws(MeshEventsError) { try transport.publish(message) }
    func waitUntilWritable() async throws(MeshEventsError) { try await transport.waitUntilWritable() }
    func flush(timeout: Duration) async throws(MeshEventsError) { try await transport.flush(timeout: timeout) }

    func subscribe(
        to subject: String,
        queueGroup: String?,
        receiver: any MessageReceiver
    ) async throws(MeshEventsError) -> any TransportSubscription {
        let inner = try await transport.subscribe(to: subject, queueGroup: queueGroup, receiver: receiver)
        count.add(1)
        return Subscription(inner, count)
    }

    private final class Subscription: TransportSubscription {
        private let inner: any TransportSubscription
        private let count: SharedCount
        private let isOver = Atomic(false)

        init(_ inner: any TransportSubscription, _ count: SharedCount) {
            self.inner = inner
            self.count = count
        }

        func cancel() {
            if !isOver.exchange(true, ordering: .acquiringAndReleasing) { count.add(-1) }
            inner.cancel()
        }

        func drain(timeout: Duration) async throws(MeshEventsError) {
            if !isOver.exchange(true, ordering: .acquiringAndReleasing) { count.add(-1) }
            try await inner.drain(timeout: timeout)
        }
    }

    private final class SharedCount: Sendable {
        private let state = Locked(0)

        var value: Int { state.withLock { $0 } }

        func add(_ change: Int) { state.withLock { $0 += change } }
    }
}
