import MeshConcurrency
import MeshEvents
import NIOCore
import TestSupport
import Testing

@testable import MeshDashboard

@Suite struct PartsTests {
    private func stored(_ sequence: UInt64, _ type: EventType = "user.a", node: String = "attic", second: Int64 = 0)
        -> StoredEvent
    {
        StoredEvent(
            event: Event(type, node: node),
            sequence: sequence,
            storedAt: Timestamp(nanosecondsSinceEpoch: second * 1_000_000_000)
        )
    }

    // MARK: Index

    @Test func bothEndsOfTheIndexAreCounted() {
        var index = EventIndex()
        index.append(stored(10, second: 10))
        index.beginFilling()
        index.fill(stored(8, second: 8))
        index.fill(stored(9, "tool.crashed", node: "cellar", second: 9))
        index.append(stored(11, second: 11))
        func histogram(
            _ seconds: Range<Int64>,
            buckets: Int,
            from first: UInt64 = 1,
            filter: PageFilter = PageFilter()
        ) -> Histogram {
            let range = seconds.lowerBound * 1_000..<seconds.upperBound * 1_000
            return index.histogram(filter, range, buckets: buckets, of: (first, 11))
        }
        let whole = histogram(8..<12, buckets: 4)
        #expect(whole.width == 1_000 && whole.through == 11)
        #expect(whole.series.map(\.type) == ["user.a", "tool.crashed"])
        #expect(whole.series.map(\.counts) == [[1, 0, 1, 1], [0, 1, 0, 0]])
        #expect(whole.marks.map(\.sequence) == [9])
        // What the stream has dropped, and what lies outside.
        #expect(histogram(8..<11, buckets: 1, from: 9).series.map(\.total) == [1, 1])
        #expect(histogram(0..<20, buckets: 3, filter: PageFilter(nodes: ["cellar"])).series.count == 1)
        #expect(histogram(0..<20, buckets: 3, filter: PageFilter(patterns: ["events.tool.>"])).series.count == 1)
    }

    @Test func theIndexForgetsTheOldest() {
        var index = EventIndex(capacity: 10)
        index.append(stored(100, second: 100))
        for sequence in 90..<100 { index.fill(stored(UInt64(sequence), second: Int64(sequence))) }
        #expect(index.count == 10)
        for sequence in 101..<150 {
            index.append(stored(UInt64(sequence), second: Int64(sequence)))
            #expect(index.count <= 10)
        }
        let histogram = index.histogram(PageFilter(), 0..<200_000, buckets: 200, of: (1, 12_000))
        #expect(histogram.series.first?.counts[149] == 1)
        #expect(histogram.series.first?.counts[100] == 0)
    }

    // MARK: Filter

    @Test func textIsFoundWhateverItsCase() {
        let event = Event("user.Straße", node: "Attic", data: ["text": "Größe 1"])
        for text in ["straße", "STRAßE", "attic", "größe", "1\"}", ""] {
            #expect(PageFilter(text: text).matches(event), "\(text)")
        }
        #expect(!PageFilter(text: "größer").matches(event))
        #expect(!PageFilter(text: String(repeating: "x", count: 1_000)).matches(event))
        for (text, place, isThere) in [
            ("aab", "aaaab", true), ("abcabd", "abcabcabd", true), ("aaaa", "aaa", false), ("b", "aaa", false),
            ("abab", "ababa", true), ("x", "", false),
        ] { #expect(TextNeedle(text).isIn(place) == isThere, "\(text) in \(place)") }
    }

    @Test func nodesAreThoseThatEventsAreAbout() {
        let report = Event(.nodeUnreachable, node: "keeper", data: ["node": "pi"])
        #expect(PageFilter(nodes: ["pi"]).matches(report) && !PageFilter(nodes: ["keeper"]).matches(report))
        var index = EventIndex()
        index.append(StoredEvent(event: report, sequence: 1, storedAt: Timestamp(nanosecondsSinceEpoch: 5_000_000)))
        func count(_ node: String) -> Int? {
            index.histogram(PageFilter(nodes: [node]), 0..<10, buckets: 1, of: (1, 1)).series.first?.total
        }
        #expect(count("pi") == 1 && count("keeper") == nil)
    }

    // MARK: Client

    @Test func aClientIsCutOffWhenItsBufferIsFull() async {
        for (items, bytes) in [(3, 1 << 20), (1_000, 3 * 228)] {
            let cut = Locked(0)
            let client = FeedClient(maximumItems: items, maximumBytes: bytes)
            client.whenCut { cut.withLock { $0 += 1 } }
            let notice = FeedItem.notice(ByteBuffer(repeating: 0, count: 100))
            for _ in 0..<3 { #expect(client.offer(notice)) }
            #expect(!client.offer(notice))
            #expect(!client.offer(notice))
            #expect(cut.withLock { $0 } == 1)
            #expect(await client.next()?.count == nil)
        }
    }

    @Test func whatWaitsIsHandedOverTogetherAndTheEndEndsTheWait() async throws {
        let client = FeedClient(maximumItems: 10, maximumBytes: 10_000)
        client.offer(.tick(.epoch, mesh: .epoch))
        client.offer(.tick(.epoch, mesh: .epoch))
        #expect(await client.next()?.count == 2)
        try await withDeadline(.seconds(10), "the end") {
            let next = Task { await client.next() }
            client.end()
            let items = await next.value
            #expect(items?.count == nil)
        }
        let waiting = Task { await FeedClient(maximumItems: 1, maximumBytes: 1).next() }
        waiting.cancel()
        try await withDeadline(.seconds(10), "the cancellation") { #expect(await waiting.value?.count == nil) }
    }

    // MARK: Server-sent events

    @Test func lineBreaksInDataDoNotBreakTheStream() {
        let buffer = ServerSentEvent.buffer(
            "node",
            id: StreamPosition(7, created: nil),
            "{\n\"a\":1}\r\n\ndata: x".utf8
        )
        #expect(
            String(buffer: buffer) == "event: node\nid: 7\ndata: {\ndata: \"a\":1}\ndata: \ndata: \ndata: data: x\n\n"
        )
    }
}
