import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import NIOHTTP1
import TestSupport
import Testing

@testable import MeshDashboard

@Suite struct StreamTests {
    @Test func anEventIsThereWithinASecond() async throws {
        try await Bench.run { bench in
            try await withDeadline(.seconds(10), "an event") {
                try await bench.client.listen { reader in
                    _ = try await reader.next("position")
                    // The quickest of some, since a busy machine makes any of them wait.
                    var quickest = Duration.seconds(3_600)
                    for _ in 1...5 {
                        let began = ContinuousClock.now
                        let sequence = try await bench.emit(0..<1)
                        let message = try await reader.next("message")
                        quickest = min(quickest, .now - began)
                        #expect(message.id == sequence)
                        #expect(try message.json["type"]?.string == "user.count")
                        #expect(try message.json["node"]?.string == "attic")
                    }
                    #expect(quickest < .seconds(1))
                }
            }
        }
    }

    @Test func whoWasAwayContinuesWithoutGapOrRepeat() async throws {
        try await Bench.run { bench in
            try await withDeadline(.seconds(20), "2 000 events over ten connections") {
                let emitting = Task { try await bench.emit(0..<2_000) }
                var last: UInt64? = 0
                var numbers: [Int] = []
                while numbers.count < 2_000 {
                    let headers = last.map { [("last-event-id", "\($0)")] } ?? []
                    let wanted = min(200, 2_000 - numbers.count)
                    let (found, id) = try await bench.client.listen("/api/stream", headers) { reader in
                        (try await reader.numbers(wanted), reader.lastID)
                    }
                    numbers += found
                    last = id
                }
                _ = try await emitting.value
                #expect(numbers == Array(0..<2_000))
            }
        }
    }

    @Test func onlyWhatIsAskedForComes() async throws {
        try await Bench.run { bench in
            try await withDeadline(.seconds(10), "events") {
                try await bench.client.listen("/api/stream?pattern=user.*&text=%22number%22%3A2&after=0") { reader in
                    _ = try await reader.next("position")
                    try await bench.emit(0..<3, "other.count")
                    try await bench.emit(0..<30)
                    #expect(try await reader.numbers(11) == [2] + Array(20..<30))
                }
            }
        }
    }

    @Test("missed and new events are those for which all conditions hold")
    func conditionsHoldForWhatComes() async throws {
        try await Bench.run { bench in
            try await bench.emit(0..<30)
            try await withDeadline(.seconds(10), "events") {
                let path = "/api/stream?where=number%20%3E%3D%2025&where=number%20!%3D%2027&after=0"
                try await bench.client.listen(path) { reader in
                    #expect(try await reader.numbers(4) == [25, 26, 28, 29])
                    _ = try await reader.next("position")
                    try await bench.emit(0..<27)
                    #expect(try await reader.numbers(2) == [25, 26])
                }
            }
        }
    }

    @Test func whatTheStreamHasDroppedIsAGap() async throws {
        try await Bench.run(stream: .init(maximumMessages: 10)) { bench in
            try await bench.emit(0..<30)
            try await withDeadline(.seconds(10), "a gap") {
                try await bench.client.listen("/api/stream?after=5") { reader in
                    let gap = try await reader.next("gap").json
                    #expect(gap["from"]?.int == 6)
                    #expect(gap["to"]?.int == 20)
                    #expect(gap["reason"]?.string == "dropped")
                    #expect(try await reader.numbers(10) == Array(20..<30))
                }
            }
        }
    }

    @Test func whoKnowsMoreThanThereIsBeginsAnew() async throws {
        try await Bench.run { bench in
            let last = try await bench.emit(0..<3)
            try await withDeadline(.seconds(10), "a reset") {
                try await bench.client.listen("/api/stream?after=99") { reader in
                    let reset = try await reader.next("reset").json
                    #expect(reset["sequence"]?.int == Int(last))
                }
            }
        }
    }

    @Test func aClientThatDoesNotReadIsCutOffAndLosesNothing() async throws {
        try await Bench.run(.init(bufferedEvents: 100_000, bufferedBytes: 256 << 10)) { bench in
            let text = String(repeating: "x", count: 10_000)
            let (last, id) = try await withDeadline(.seconds(40), "the client to be cut off") {
                try await bench.client.connect(.GET, "/api/stream?after=0") { inbound in
                    // The sockets hold some megabytes, the dashboard a quarter of one.
                    for number in 0..<2_000 {
                        try await bench.bus.emit("user.count", ["number": JSONValue(number), "text": .string(text)])
                    }
                    var reader = EventReader(inbound)
                    defer { reader.cancel() }
                    var last = -1
                    do {
                        while let message = try await reader.next() {
                            if message.name == "message" { last = try message.json["data"]?["number"]?.int ?? -1 }
                        }
                    } catch {
                        // The connection may be reset.
                    }
                    #expect(last < 1_999, "it was not cut off")
                    return (last, reader.lastID ?? 0)
                }
            }
            try await withDeadline(.seconds(30), "the rest") {
                var (last, id) = (last, id)
                // On a busy machine it may be cut off again, and goes on as a browser does.
                while last < 1_999 {
                    let before = last
                    let (numbers, reached) = try await bench.client.connect(
                        .GET,
                        "/api/stream",
                        [("last-event-id", "\(id)")]
                    ) { inbound in
                        var reader = EventReader(inbound)
                        defer { reader.cancel() }
                        var numbers: [Int] = []
                        do {
                            while numbers.last ?? before < 1_999, let message = try await reader.next() {
                                guard message.name == "message" else { continue }
                                numbers.append(try message.json["data"]?["number"]?.int ?? -1)
                            }
                        } catch {
                            // The connection may be reset.
                        }
                        return (numbers, reader.lastID)
                    }
                    #expect(numbers == Array((before + 1)..<(before + 1 + numbers.count)))
                    guard let newest = numbers.last, let reached else { continue }
                    (last, id) = (newest, reached)
                }
            }
        }
    }

    @Test func thereIsRoomForSoManyAndForOneMoreWhenOneHasGone() async throws {
        let bearer = [("authorization", "Bearer \(Bench.token)")]
        try await Bench.run(.init(token: Bench.token, maximumClients: 1)) { bench in
            try await withDeadline(.seconds(10), "a refusal") {
                try await bench.client.listen("/api/stream", bearer) { reader in
                    _ = try await reader.next("position")
                    let refused = try await bench.client.get("/api/stream", bearer)
                    #expect(refused.status == 503)
                    #expect(try refused.json["error"]?["code"]?.string == "tooManyClients")
                }
            }
            try await eventually("room") {
                try await bench.client.listen("/api/stream", bearer) { reader in
                    try await reader.next("status").data == "200"
                }
            }
        }
    }

    @Test func withoutALoginTheOldestMakesRoomAndIsToldWhy() async throws {
        try await Bench.run(.init(maximumClients: 1)) { bench in
            try await withDeadline(.seconds(20), "the newest to be let in, and the oldest to be told") {
                let isIn = OneTimeSignal()
                async let reason = bench.client.listen { oldest in
                    _ = try await oldest.next("position")
                    isIn.send()
                    let reason = try await oldest.next("closed").json["code"]?.string
                    #expect(try await oldest.next() == nil)
                    return reason
                }
                try await isIn.wait(until: .now + .seconds(10), for: "the oldest to listen")
                try await bench.client.listen { newest in
                    _ = try await newest.next("position")
                    try await bench.emit(0..<1)
                    #expect(try await newest.numbers(1) == [0])
                }
                #expect(try await reason == "tooManyClients")
            }
        }
    }

    @Test func whoDoesNotReadMakesRoomAtOnce() async throws {
        let client = FeedClient(maximumItems: 10, maximumBytes: 10_000)
        let isCut = Locked(false)
        client.whenCut { isCut.withLock { $0 = true } }
        client.offer(.tick(.now, mesh: .now))
        client.giveWay(saying: .tick(.now, mesh: .now))
        #expect(isCut.withLock { $0 })
        #expect(await client.next() == nil)
    }

    @Test func theStateOfTheMeshAndOfTheConnectionIsTold() async throws {
        try await Bench.run { bench in
            try await withDeadline(.seconds(10), "notices") {
                try await bench.client.listen { reader in
                    #expect(try await reader.next("hello").json["emit"]?.bool == false)
                    #expect(try await reader.next("link").json["up"]?.bool == true)
                    #expect(try await reader.next("mesh").json["nodes"]?.array?.isEmpty == true)
                    try await bench.bus.emit(NodeJoined(capabilities: ["version": "1"]))
                    #expect(try await reader.next("node").json["status"]?.string == "online")
                    bench.dashboard.connection(problem: "it is gone.")
                    let link = try await reader.next("link").json
                    #expect(link["up"]?.bool == false)
                    #expect(link["problem"]?.string == "it is gone. Events from meanwhile are shown once it is back.")
                    #expect(try await bench.client.get("/healthz").status == 503)
                    bench.dashboard.connection(problem: nil)
                    #expect(try await reader.next("link").json["up"]?.bool == true)
                    bench.dashboard.silence(since: .now)
                    let silent = try await reader.next("link").json["problem"]?.string
                    #expect(silent?.hasPrefix("No data has come from the mesh's server since 2") == true)
                    #expect(silent?.hasSuffix("Events from meanwhile are shown once it is back.") == true)
                    #expect(try await bench.client.get("/healthz").status == 503)
                    bench.dashboard.silence(since: nil)
                    #expect(try await reader.next("link").json["up"]?.bool == true)
                }
            }
        }
    }

    @Test func theTimeIsToldAndHowLateTheMeshIs() async throws {
        try await Bench.run { bench in
            try await withDeadline(.seconds(30), "the time") {
                try await bench.client.listen { reader in
                    let told = try await reader.next("time").json
                    let time = try Timestamp(rfc3339: told["time"]?.string ?? "")
                    #expect(try Timestamp(rfc3339: told["mesh"]?.string ?? "") <= time.adding(.seconds(1)))
                }
            }
        }
    }

    @Test func aStreamThatDoesNotExistYetIsWaitedFor() async throws {
        let mesh = InMemoryMesh()
        let store = InMemoryStore(mesh)
        let dashboard = try Dashboard(store: store, configuration: .init(port: 0), logger: quiet)
        let running = Task { try await dashboard.run() }
        defer { running.cancel() }
        let url = try await dashboard.url()
        let client = HTTPClient(port: try #require(url.split(separator: ":").last.flatMap { Int($0.dropLast()) }))
        try await withDeadline(.seconds(20), "the stream") {
            try await client.listen { reader in
                while try await reader.next("link").json["problem"]?.string?.contains("mesh-events serve") != true {}
                let bus = try await PersistentEventBus.open(
                    transport: InMemoryTransport(mesh),
                    store: store,
                    node: "attic",
                    logger: quiet
                )
                #expect(try await reader.next("link").json["up"]?.bool == true)
                try await bus.emit("user.first")
                #expect(try await reader.next("message").json["type"]?.string == "user.first")
            }
        }
    }

    @Test func anotherStreamIsSaidAndItsIdsAreItsOwn() async throws {
        try await Bench.run { bench in
            try await bench.emit(0..<3)
            let former = try await bench.store.state().created
            try await withDeadline(.seconds(30), "a reset and what follows") {
                try await bench.client.listen("/api/stream?after=0") { reader in
                    #expect(try await reader.numbers(3) == [0, 1, 2])
                    try await bench.store.deleteStream()
                    _ = try await bench.store.open(.init())
                    try await bench.emit(10..<17)
                    _ = try await reader.next("reset")
                }
            }
            let stale = StreamPosition(1, created: former).text
            try await withDeadline(.seconds(30), "a reset for a browser that comes back") {
                try await bench.client.listen("/api/stream", [("last-event-id", stale)]) { reader in
                    let reset = try await reader.next("reset").json
                    let sequence = reset["sequence"]?.int
                    #expect(sequence == 7)
                }
            }
            let fresh = StreamPosition(2, created: try await bench.store.state().created).text
            try await withDeadline(.seconds(30), "what was missed") {
                try await bench.client.listen("/api/stream?after=\(fresh)") { reader in
                    let numbers = try await reader.numbers(5)
                    #expect(numbers == Array(12..<17))
                }
            }
        }
    }
}
