import MeshEventsTesting
import Testing

@testable import MeshEvents

/// The receiver fed by hand, as a transport would.
struct EventReceiverTests {
    private struct Bench {
        let channel: SubscriptionChannel
        let receiver: EventReceiver
        let subscription: EventSubscription

        init(_ buffer: EventSubscription.Buffer = EventSubscription.Buffer()) {
            channel = SubscriptionChannel(buffer) { _ in }
            let bus = EventBus(transport: InMemoryTransport(), node: "n")
            receiver = EventReceiver(channel: channel, reporter: bus.reporter, admission: bus.admission)
            subscription = EventSubscription(channel: channel)
        }

        func receive(_ payload: String, subject: String = "events.user.n") {
            let subject = Array(subject.utf8)
            let payload = Array(payload.utf8)
            subject.withUnsafeBytes { subject in
                payload.withUnsafeBytes { receiver.receive(IncomingMessage(subject: subject.bytes, payload: $0.bytes)) }
            }
        }

        func event(_ number: Int) -> String {
            #"{"type":"user.n","node":"n","timestamp":"2026-11-24T09:04:34Z","data":{"seq":\#(number)}}"#
        }
    }

    @Test func nothingIsHandedOverBeforeTheBatchEnds() async throws {
        let bench = Bench()
        bench.receive(bench.event(1))
        bench.receive(bench.event(2))
        #expect(bench.subscription.received == 0)
        bench.receiver.receiveBatchEnd()
        #expect(bench.subscription.received == 2)
        var iterator = bench.subscription.makeAsyncIterator()
        #expect(try await iterator.next()?.data["seq"]?.int == 1)
        #expect(try await iterator.next()?.data["seq"]?.int == 2)
    }

    @Test func aLongBatchIsHandedOverInBoundedChunks() {
        let bench = Bench()
        for number in 0..<1100 { bench.receive(bench.event(number)) }
        #expect(bench.subscription.received == 1024)
        bench.receiver.receiveBatchEnd()
        #expect(bench.subscription.received == 1100)
    }

    @Test func malformedMessagesAreCountedAmongGoodOnes() async throws {
        let bench = Bench()
        bench.receive("nonsense")
        bench.receive(bench.event(1))
        bench.receive("[]")
        bench.receiver.receiveBatchEnd()
        #expect(bench.subscription.malformed == 2)
        #expect(bench.subscription.received == 1)
    }

    @Test func theEndPassesOnWhatWasCollected() async throws {
        let bench = Bench()
        bench.receive(bench.event(7))
        bench.receiver.receiveEnd(MeshEventsError(.connectionFailed, "gone"))
        var iterator = bench.subscription.makeAsyncIterator()
        #expect(try await iterator.next()?.data["seq"]?.int == 7)
        await #expect(throws: MeshEventsError.self) { _ = try await iterator.next() }
        #expect(try await iterator.next() == nil)
    }

    @Test func aBatchLargeInBytesIsHandedOverEarly() {
        let bench = Bench()
        let text = String(repeating: "x", count: 600_000)
        bench.receive(#"{"data":{"text":"\#(text)"}}"#)
        #expect(bench.subscription.received == 0)
        bench.receive(#"{"data":{"text":"\#(text)"}}"#)
        #expect(bench.subscription.received == 2)
    }
}
