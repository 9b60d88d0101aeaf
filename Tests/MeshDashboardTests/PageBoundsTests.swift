import Foundation
import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import MeshMonitoring
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@testable import MeshDashboard

/// What the page sends and holds has a bound, whatever the mesh says; what is beyond it is counted, or in the next page.
@Suite struct PageBoundsTests {
    private func stored(_ sequence: UInt64, _ event: Event, second: Int64 = 0) -> StoredEvent {
        StoredEvent(
            event: event,
            sequence: sequence,
            storedAt: Timestamp(nanosecondsSinceEpoch: second * 1_000_000_000)
        )
    }

    // MARK: The mesh

    @Test func theMeshIsCutToItsBoundAndTheRestIsCounted() throws {
        var state = MeshState()
        let long = String(repeating: "x", count: 2_000)
        for number in 0..<1_000 {
            let node = "n\(number)"
            state.apply(Event("node.joined", node: node, data: ["capabilities": ["version": "1"]]))
            for tool in 0..<4 {
                state.apply(
                    Event(
                        "tool.crashed",
                        node: node,
                        data: ["tool": "t\(tool)", "error": .string(long), "restart_count": 1]
                    )
                )
            }
        }
        let digest = MeshDigest(state)
        let json = try EventData(json: digest.json).value
        #expect(digest.json.utf8.count <= MeshDigest.maximumBytes + 1_024)
        let nodes = try #require(json["nodes"]?.array)
        #expect(nodes.count > 100)
        #expect(json["left_out"]?["nodes"]?.int == 1_000 - nodes.count)
        #expect(json["left_out"]?["tools"]?.int == 4 * (1_000 - nodes.count))
        #expect(json["summary"]?["nodes"]?.int == 1_000 && json["summary"]?["crashed"]?.int == 4_000)
        #expect(json["summary"]?["backing_off"]?.int == 4_000 && json["summary"]?["failed"]?.int == 0)
        #expect(nodes[0]["tools"]?[0]?["last_error"]?.string?.hasSuffix("x…") == true)
    }

    @Test func whatIsInTroubleComesFirstAndIsNotLeftOut() throws {
        var state = MeshState()
        state.advance(to: .now)
        func apply(_ type: EventType, _ node: String, _ data: EventData) {
            state.apply(Event(type, node: node, timestamp: state.now, data: data))
        }
        for number in 100..<600 { apply("node.joined", "n\(number)", ["capabilities": ["interval_s": 60]]) }
        apply("node.joined", "z-away", ["capabilities": ["interval_s": 1]])
        apply("node.joined", "z-excused", ["capabilities": ["interval_s": 1]])
        let end = state.now.adding(.seconds(3_600)).description
        apply("node.maintenance", "n100", ["node": "z-excused", "for_s": 3_600, "reason": "new disk"])
        apply("node.health", "y-ill", ["status": "degraded", "resources": ["interval_s": 60]])
        apply("tool.started", "x-failed", ["tool": "t"])
        apply("tool.stopped", "x-failed", ["tool": "t", "failed": true, "error": "gave up"])
        apply("node.health", "z-away", ["status": "online", "resources": ["interval_s": 1]])
        apply("node.health", "z-excused", ["status": "online", "resources": ["interval_s": 1]])
        state.advance(to: state.now.adding(.seconds(10)))
        let json = try EventData(json: MeshDigest(state, maximumBytes: 20_000).json).value
        let nodes = try #require(json["nodes"]?.array)
        #expect(nodes.prefix(4).map { $0["name"]?.string } == ["x-failed", "z-away", "y-ill", "n100"])
        #expect(json["left_out"]?["nodes"]?.int ?? 0 > 300)
        let whole = try EventData(json: MeshDigest(state).json).value["nodes"]?.array ?? []
        let excused = try #require(whole.last)
        #expect(excused["name"]?.string == "z-excused" && excused["status"]?.string == "unreachable")
        #expect(excused["maintenance_until"]?.string == end && excused["maintenance_reason"]?.string == "new disk")
        #expect(whole.map { $0["name"]?.string } == state.byTrouble.map(\.node.name))
    }

    @Test func whatHasNotChangedIsNotMadeAnew() throws {
        var state = MeshState()
        state.advance(to: .now)
        let count = 500
        for number in 0..<count {
            let node = "n\(number)"
            state.apply(
                Event("node.joined", node: node, timestamp: state.now, data: ["capabilities": ["interval_s": 60]])
            )
            for tool in 0..<3 {
                state.apply(Event("tool.started", node: node, timestamp: state.now, data: ["tool": "t\(tool)"]))
            }
        }
        var texts = MeshDigest.Texts()
        func digest() -> String { MeshDigest(state, maximumBytes: 100_000, reusing: &texts).json }
        #expect(digest().contains(#""left_out":{"nodes":"#))
        #expect(texts.made == count)
        _ = digest()
        #expect(texts.made == 0)
        // Some of what is told and some of what is left out.
        for node in ["n0", "n1", "n99"] {
            state.apply(Event("tool.crashed", node: node, timestamp: state.now, data: ["tool": "t0"]))
        }
        #expect(digest() == MeshDigest(state, maximumBytes: 100_000).json)
        #expect(texts.made == 3)
        // Time alone changes how nodes are.
        state.advance(to: state.now.adding(.seconds(1_000)))
        let late = digest()
        #expect(late == MeshDigest(state, maximumBytes: 100_000).json && late.contains(#""unreachable":500"#))
        #expect(texts.made == count)
        // What is kept is bounded as what is told.
        #expect(texts.bytes <= 100_000)
        _ = MeshDigest(MeshState(), reusing: &texts)
        #expect(texts.bytes == 0)
    }

    @Test func aNodeIsCutToItsBound() throws {
        // What is sent has bounds of its own, whatever the state may keep.
        var state = MeshState(limits: .init(textBytes: 65_536, dataBytes: 1 << 20))
        let long = String(repeating: "x", count: 500)
        let longer = String(repeating: long, count: 40)
        let checks = JSONValue(Dictionary(uniqueKeysWithValues: (0..<100).map { ("\(long)\($0)", JSONValue(long)) }))
        state.apply(Event("node.joined", node: long, data: ["capabilities": ["text": .string(longer)]]))
        state.apply(Event("node.health", node: long, data: ["status": "degraded", "resources": ["checks": checks]]))
        for number in 0..<300 {
            state.apply(
                Event("tool.installed", node: long, data: ["tool": "\(long)\(number)", "version": .string(long)])
            )
        }
        let (text, leftOut) = MeshDigest.json(try #require(state.node(state.nodes[0].name)))
        #expect(text.utf8.count < 1 << 20)
        let json = try EventData(json: text).value
        #expect(json["capabilities"]?.isNull == true && json["resources"]?.isNull == true)
        #expect(json["left_out"]?["values"]?.int == leftOut.values && leftOut.values >= 2)
        #expect((json["tools"]?.array?.count ?? 0) <= MeshDigest.maximumTools)
    }

    @Test func ofTooManyToolsThoseInTroubleAreShown() throws {
        var state = MeshState()
        for number in 0..<300 { state.apply(Event("tool.started", node: "n", data: ["tool": .string("a\(number)")])) }
        state.apply(Event("tool.stopped", node: "n", data: ["tool": "z", "failed": true, "reason": "gave up"]))
        state.apply(Event("tool.crashed", node: "n", data: ["tool": "y"]))
        let json = try EventData(json: MeshDigest.json(try #require(state.node("n"))).text).value
        let tools = try #require(json["tools"]?.array)
        #expect(tools.count == MeshDigest.maximumTools && json["left_out"]?["tools"]?.int == 102)
        #expect(tools.prefix(3).map { $0["name"]?.string } == ["z", "y", "a0"])
    }

    @Test func manyChangesAreToldTogether() async throws {
        try await Bench.run { bench in
            try await withDeadline(.seconds(60), "the mesh") {
                try await bench.client.listen { reader in
                    _ = try await reader.next("position")
                    let before = try await bench.bus.emit(NodeJoined(capabilities: nil)).sequence
                    for number in 0..<600 { try await bench.bus.emit(ToolStarted(tool: "t\(number % 300)")) }
                    var notices = 0
                    var sizes = 0
                    while let message = try await reader.next() {
                        guard ["node", "mesh"].contains(message.name) else { continue }
                        notices += 1
                        sizes += message.data.utf8.count
                        let node = message.name == "node" ? try message.json : try message.json["nodes"]?[0] ?? .null
                        let known = (node["tools"]?.array?.count ?? 0) + (node["left_out"]?["tools"]?.int ?? 0)
                        if known == 300 { break }
                    }
                    #expect(before > 0 && notices < 100, "\(notices) notices with \(sizes) bytes")
                }
            }
        }
    }

    @Test func howLateTheMeshIsToldIsKnown() {
        let times = (0..<4).map { Timestamp(nanosecondsSinceEpoch: Int64($0) * 1_000_000_000) }
        var changes = MeshFollower.Changes()
        #expect(changes.toldUntil(times[3]) == times[3])
        changes.add("one", at: times[0])
        changes.add("other", at: times[1])
        #expect(changes.toldUntil(times[3]) == times[0])
        // While they are being told, and others come.
        #expect(changes.take().names == ["one", "other"] && changes.isTelling)
        changes.add(nil, at: times[2])
        #expect(changes.toldUntil(times[3]) == times[0])
        changes.areTold()
        #expect(changes.toldUntil(times[3]) == times[2] && changes.isWhole)
        _ = changes.take()
        changes.areTold()
        #expect(changes.toldUntil(times[3]) == times[3])
    }

    @Test func theMeshIsToldNoLaterThanItsBoundHoweverLongThatTakes() {
        #expect(MeshFollower.pause(after: .milliseconds(20)) == .milliseconds(80))
        #expect(MeshFollower.pause(after: .seconds(20)) == MeshFollower.maximumPause)
        #expect(MeshFollower.maximumPause <= .seconds(10))
    }

    // MARK: Events

    @Test func aPageEndsAtItsBoundAndTheNextGoesOn() async throws {
        try await Bench.run { bench in
            let text = String(repeating: "x", count: 16_000)
            for number in 0..<600 {
                try await bench.bus.emit("user.long", ["number": JSONValue(number), "text": .string(text)])
            }
            for direction in ["before", "after"] {
                var numbers: [Int] = []
                var pages = 0
                var query = direction == "after" ? "&after=0" : ""
                while true {
                    let answer = try await bench.client.get("/api/events?limit=1000\(query)")
                    #expect(answer.text.utf8.count <= EventSearch.maximumBytes + 1_024)
                    let page = try answer.json
                    let found = try #require(page["events"]?.array).compactMap { $0["data"]?["number"]?.int }
                    numbers = direction == "after" ? numbers + found : found + numbers
                    pages += 1
                    guard let cursor = page["cursor"]?.string else { break }
                    query = "&\(direction)=\(cursor)"
                }
                #expect(numbers == Array(0..<600))
                #expect(pages > 2)
            }
        }
    }

    @Test func aNameThatIsTooLongIsCutInLists() async throws {
        try await Bench.run { bench in
            let name = String(repeating: "ü", count: 100_000)
            let bus = try await PersistentEventBus.open(
                transport: InMemoryTransport(),
                store: bench.store,
                node: "x",
                logger: quiet
            )
            let sequence = try await bus.emit(Event("user.long", node: name)).sequence
            let listed = try await bench.client.get("/api/events")
            #expect(listed.text.utf8.count < 5_000)
            #expect(try listed.json["events"]?[0]?["node"]?.string?.hasSuffix("ü…") == true)
            #expect(try await bench.client.get("/api/events/\(sequence)").json["node"]?.string == name)
        }
    }

    @Test func whatWaitsForABrowserCountsWithAllItHolds() {
        let client = FeedClient(maximumItems: 1_000, maximumBytes: 4 << 20)
        let data: EventData = ["text": .string(String(repeating: "x", count: 1 << 20))]
        var offered = 0
        while offered < 100, let item = EventFeed.item(stored(1, Event("user.large", node: "n", data: data))),
            client.offer(item)
        { offered += 1 }
        #expect(offered == 3)
    }

    /// The pages of a store with so many events of such a text.
    private func pages(
        of count: Int,
        _ text: String,
        _ verification: SignatureVerification? = nil
    ) async throws -> PageReader {
        let memory = try await MemoryBus.open()
        for _ in 0..<count { try await memory.bus.emit("user.large", ["text": .string(text)]) }
        return try await PageReader(
            .init(end: .oldest),
            store: memory.store,
            history: EventHistory(store: memory.store, verification: verification, logger: quiet),
            gate: QueryGate(maximumRunning: 1, maximumWaiting: 1),
            reader: nil
        )
    }

    @Test func largeEventsAreReadAFewAtATime() async throws {
        let text = String(repeating: "x", count: 200_000)
        var reader = try await pages(of: 120, text)
        var sizes: [Int] = []
        while let page = try await reader.next() { sizes.append(page.events.count) }
        #expect(sizes.reduce(0, +) == 120)
        #expect(sizes.allSatisfy { $0 * text.utf8.count <= 4 << 20 }, "\(sizes)")
    }

    @Test func aPageEndsAfterSoManyBytesAlsoOfWhatIsLeftOut() async throws {
        let text = String(repeating: "x", count: 5_000)
        var reader = try await pages(of: 200, text, SignatureVerification(NamedSigners(), policy: .reject))
        var sizes: [Int] = []
        while let page = try await reader.next() { sizes.append(page.rejected) }
        #expect(sizes.reduce(0, +) == 200)
        #expect(sizes[0] > 0 && sizes[0] * text.utf8.count <= 128 << 10, "\(sizes)")
    }

    @Test func aTextIsLookedForInTimeThatGrowsWithTheDataAlone() {
        let needle = TextNeedle(String(repeating: "a", count: 1_000) + "b")
        let text = String(repeating: "a", count: 1 << 20)
        let began = ContinuousClock.now
        #expect(!needle.isIn(text))
        // Comparing at each place would take a thousand times as long.
        #expect(ContinuousClock.now - began < .seconds(10))
    }

    @Test func onlySoManyReadingsRunAndWait() async throws {
        let gate = QueryGate(maximumRunning: 1, maximumWaiting: 2)
        let release = OneTimeSignal()
        try await withThrowingTaskGroup(of: Void.self) { group in
            func run() async throws(MeshEventsError) {
                try await gate.run { () async throws(MeshEventsError) in
                    try await release.wait(until: .now + .seconds(30), for: "the release")
                }
            }
            for _ in 0..<3 { group.addTask { try await run() } }
            try await eventually("two to wait") { gate.waiting == 2 }
            await #expect(throws: MeshEventsError.self) { try await run() }
            let cancelled = Task { try await run() }
            cancelled.cancel()
            await #expect(throws: MeshEventsError.self) { try await cancelled.value }
            release.send()
            try await group.waitForAll()
        }
        try await gate.run { () async throws(MeshEventsError) in }
        #expect(gate.waiting == 0)
    }

    @Test func aReaderHasAShareAndHoldsUpNoOther() async throws {
        let gate = QueryGate(maximumRunning: 3, maximumWaiting: 5, share: .init(running: 2, waiting: 2))
        let (slow, quick) = (OneTimeSignal(), OneTimeSignal())
        try await withThrowingTaskGroup(of: Void.self) { group in
            func run(_ reader: String, until release: OneTimeSignal) async throws(MeshEventsError) {
                try await gate.run(for: reader) { () async throws(MeshEventsError) in
                    try await release.wait(until: .now + .seconds(30), for: "the release")
                }
            }
            for _ in 0..<4 { group.addTask { try await run("slow", until: slow) } }
            try await eventually("two of the slow reader to wait") { gate.waiting == 2 }
            await #expect(throws: MeshEventsError.self) { try await run("slow", until: slow) }
            // There is a place, and others wait for their own.
            try await gate.run(for: "other") { () async throws(MeshEventsError) in }
            for _ in 0..<2 { group.addTask { try await run("quick", until: quick) } }
            try await eventually("one of another reader to wait for a place") { gate.waiting == 3 }
            quick.send()
            try await eventually("those of the slow reader alone to be left") { gate.waiting == 2 }
            try await gate.run(for: "other") { () async throws(MeshEventsError) in }
            slow.send()
            try await group.waitForAll()
        }
        #expect(gate.waiting == 0)
    }

    @Test func aReaderWhoseSearchesAreSlowHoldsUpNoOther() async throws {
        let store = try await MemoryBus.open().store
        let gate = QueryGate(maximumRunning: 2, maximumWaiting: 4, share: .init(running: 1, waiting: 1))
        let history = EventHistory(store: store, logger: quiet)
        @Sendable func search(_ reader: String) async throws {
            let search = EventSearch(store: store, history: history, gate: gate, reader: reader)
            _ = try await search.page(PageFilter(), EventSearch.Bounds())
        }
        let release = OneTimeSignal()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await gate.run(for: "slow") { () async throws(MeshEventsError) in
                    try await release.wait(until: .now + .seconds(30), for: "the release")
                }
            }
            group.addTask { try await search("slow") }
            try await eventually("the second search of the slow reader to wait") { gate.waiting == 1 }
            try await search("other")
            #expect(gate.waiting == 1)
            release.send()
            try await group.waitForAll()
        }
    }

    // MARK: Large answers

    @Test func answersWithTheSameTagCountOnceAndOthersByTheirBytes() {
        var ledger = AnswerBudget.Ledger(maximumBytes: 250)
        let first = ledger.begin(100, tag: "a")
        // Of the same length, and not the same.
        let second = ledger.begin(100, tag: "b")
        #expect(first.ended.isEmpty && second.ended.isEmpty && ledger.bytes == 200)
        for _ in 0..<100 { #expect(ledger.begin(100, tag: "b").ended.isEmpty) }
        #expect(ledger.bytes == 200)
        ledger.end(first.number)
        #expect(ledger.bytes == 100)
        // Two without a tag are two.
        _ = ledger.begin(75, tag: nil)
        _ = ledger.begin(75, tag: nil)
        #expect(ledger.bytes == 250)
        // All that are the same are ended, or none has made room.
        let large = ledger.begin(1_000, tag: nil)
        #expect(large.ended.count == 103 && ledger.bytes == 1_000)
        ledger.end(large.number)
        ledger.end(large.number)
        #expect(ledger.bytes == 0)
    }

    // MARK: The histogram

    @Test func namesAndTypesOfTheHistogramAreBounded() throws {
        var index = EventIndex()
        let long = String(repeating: "x", count: 240)
        for number in 0..<10_000 {
            let type = EventType(stringLiteral: "user.t\(number % 3_000)")
            let event = Event(type, node: "\(long)\(number)")
            index.append(stored(UInt64(number + 1), event, second: Int64(number)))
        }
        index.append(stored(10_001, Event("tool.crashed", node: String(repeating: "y", count: 1 << 20)), second: 9_999))
        for _ in 0..<300 { index.append(stored(10_002, Event("tool.crashed", node: "n"), second: 9_999)) }
        #expect(index.nameBytes <= 2 * EventIndex.maximumNameBytes)
        let histogram = index.histogram(PageFilter(), 0..<10_000_000, buckets: 500, of: (1, 12_000))
        #expect(histogram.series.count == Histogram.maximumSeries)
        #expect(histogram.series[0].type == "tool.crashed" && histogram.series[0].total == 301)
        #expect(histogram.leftOutTypes == 3_001 - Histogram.maximumSeries)
        #expect(histogram.leftOutEvents + histogram.series.reduce(0) { $0 + $1.total } == 10_301)
        #expect(histogram.marks.count == Histogram.maximumMarks)
        #expect(histogram.marks.allSatisfy { $0.sequence == 10_002 })
        #expect(histogram.json.json.utf8.count < 1 << 20)
    }
}
