import NATSClient
import NIOCore
import TestSupport
import Testing

@Suite("Reading pull consumers of real servers", .timeLimit(.minutes(2)))
struct JetStreamReadTests {
    /// A stream `S` on `s.>` with messages "0", "1" … , each hundredth on `s.rare`.
    private func fill(_ jetStream: JetStream, _ count: Int) async throws {
        _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.>"], storage: .memory))
        for number in 0..<count {
            try jetStream.connection.publish(
                payload("\(number)"),
                to: number.isMultiple(of: 100) ? "s.rare" : "s.common"
            )
        }
        try await eventually("\(count) stored messages") {
            try await jetStream.streamInfo("S").state.messages == UInt64(count)
        }
    }

    private func reader(
        _ jetStream: JetStream,
        from start: UInt64 = 1,
        _ filter: String = "s.>"
    ) async throws -> ConsumerInformation {
        try await jetStream.createConsumer(.reader(start: .sequence(start), filterSubjects: [filter]), on: "S")
    }

    @Test("a consumer answers exactly how many messages match from its start on", arguments: NATSServers.all)
    func counts(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary) { jetStream, _ in
            try await fill(jetStream, 1_000)
            for (start, filter, expected) in [
                (UInt64(1), "s.>", UInt64(1_000)), (501, "s.>", 500), (1, "s.rare", 10), (102, "s.rare", 8),
                (901, "s.*", 100), (1_001, "s.>", 0), (5_000, "s.>", 0), (1, "s.none", 0),
            ] {
                let found = try await reader(jetStream, from: start, filter)
                #expect(found.pending == expected, "from \(start), \(filter)")
            }
            let future = "2100-01-01T00:00:00Z"
            let later = try await jetStream.createConsumer(
                .reader(start: .time(future), filterSubjects: ["s.>"]),
                on: "S"
            )
            #expect(later.pending == 0)
            let past = try await jetStream.createConsumer(
                .reader(start: .time("1970-01-01T00:00:00Z"), filterSubjects: ["s.>"]),
                on: "S"
            )
            #expect(past.pending == 1_000)
        }
    }

    @Test("reads everything in order over many overlapping pulls", arguments: NATSServers.all)
    func readsAll(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary) { jetStream, _ in
            try await fill(jetStream, 20_000)
            let consumer = try await reader(jetStream)
            let texts = try await jetStream.read(
                20_000,
                from: consumer.name,
                on: "S",
                deadline: .now + .seconds(20)
            ) { message in
                message.payload.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
            }
            #expect(texts == (0..<20_000).map { "\($0)" })
        }
    }

    @Test("ends before a sequence, at the count, and where nothing is pending", arguments: NATSServers.all)
    func ends(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary) { jetStream, _ in
            try await fill(jetStream, 500)
            func sequences(_ count: Int, before: UInt64? = nil, from start: UInt64) async throws -> [UInt64] {
                let consumer = try await reader(jetStream, from: start)
                return try await jetStream.read(
                    count,
                    before: before,
                    from: consumer.name,
                    on: "S",
                    deadline: .now + .seconds(10)
                ) { $0.position.streamSequence }
            }
            #expect(try await sequences(10, from: 100) == Array(100..<110))
            #expect(try await sequences(100, before: 105, from: 100) == Array(100..<105))
            // More than there is, and nothing at all: neither waits. A busy machine may delay one round, not every one.
            var fastest = Duration.seconds(60)
            for _ in 0..<8 {
                let start = ContinuousClock.now
                #expect(try await sequences(1_000, from: 451) == Array(451...500))
                #expect(try await sequences(10, from: 501) == [])
                fastest = min(fastest, .now - start)
            }
            #expect(fastest < .milliseconds(900))
        }
    }

    @Test("messages too large for one request come by further requests", arguments: NATSServers.all)
    func large(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary) { jetStream, _ in
            _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.>"], storage: .memory))
            let large = ByteBuffer(repeating: 0x61, count: 900_000)
            for _ in 0..<60 { _ = try await jetStream.publish(large, to: "s.large") }
            let consumer = try await reader(jetStream)
            let sizes = try await jetStream.read(
                60,
                from: consumer.name,
                on: "S",
                deadline: .now + .seconds(20)
            ) { $0.payload.byteCount }
            #expect(sizes == Array(repeating: 900_000, count: 60))
        }
    }

    @Test(
        "fetch: what is there, at once or within its time, and nothing when there is nothing",
        arguments: NATSServers.all
    )
    func fetch(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary) { jetStream, _ in
            try await fill(jetStream, 5)
            let consumer = try await reader(jetStream).name
            func fetch(_ request: PullRequest) async throws -> [String] {
                try await jetStream.fetch(request, from: consumer, on: "S").map { String(buffer: $0.payload) }
            }
            #expect(try await fetch(PullRequest(batch: 2, noWait: true)) == ["0", "1"])
            #expect(try await fetch(PullRequest(batch: 10, noWait: true)) == ["2", "3", "4"])
            #expect(try await fetch(PullRequest(batch: 10, noWait: true)) == [])
            #expect(try await fetch(PullRequest(batch: 10, expires: .milliseconds(50))) == [])
            async let waiting = fetch(PullRequest(batch: 1, expires: .seconds(5)))
            try jetStream.connection.publish(payload("new"), to: "s.common")
            #expect(try await waiting == ["new"])
            let message = try await jetStream.fetch(
                PullRequest(batch: 1, noWait: true),
                from: try await reader(jetStream, from: 3).name,
                on: "S"
            )[0]
            #expect(message.subject == "s.common")
            #expect(message.position.streamSequence == 3)
            #expect(message.position.pending == 3)
            #expect(message.position.deliveries == 1)
            await #expect(throws: JetStreamError.self) {
                _ = try await jetStream.fetch(PullRequest(batch: 0), from: consumer, on: "S")
            }
        }
    }

    @Test(
        "a consumer that does not exist, or is deleted meanwhile, is an error and no hang",
        arguments: NATSServers.all
    )
    func lost(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary) { jetStream, _ in
            try await fill(jetStream, 5)
            let start = ContinuousClock.now
            let missing = try await #require(throws: JetStreamError.self) {
                _ = try await jetStream.read(
                    5,
                    from: "nobody",
                    on: "S",
                    deadline: .now + .seconds(10)
                ) { _ in 0 }
            }
            #expect(missing.kind == .consumerLost)
            #expect(missing.isRetriable)
            #expect(.now - start < .seconds(5))
            let consumer = try await reader(jetStream, from: 6).name
            let waiting = Task {
                try await jetStream.fetch(
                    PullRequest(batch: 1, expires: .seconds(8)),
                    from: consumer,
                    on: "S",
                    timeout: .seconds(9)
                )
            }
            try await eventually("the fetch to wait") {
                let answer = try await jetStream.connection.request(to: "$JS.API.CONSUMER.INFO.S.\(consumer)")
                return String(buffer: answer.payload).contains("\"num_waiting\":1")
            }
            try await jetStream.deleteConsumer(consumer, on: "S")
            let deleted = try await #require(throws: JetStreamError.self) { _ = try await waiting.value }
            #expect(deleted.kind == .consumerLost)
            #expect(.now - start < .seconds(10))
        }
    }

    @Test("a cancelled task stops reading", arguments: NATSServers.all)
    func cancelled(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary) { jetStream, _ in
            try await fill(jetStream, 1)
            let consumer = try await reader(jetStream, from: 2).name
            let task = Task {
                try await jetStream.fetch(
                    PullRequest(batch: 1, expires: .seconds(30)),
                    from: consumer,
                    on: "S",
                    timeout: .seconds(30)
                )
            }
            task.cancel()
            let start = ContinuousClock.now
            await #expect(throws: JetStreamError.self) { try await task.value }
            #expect(.now - start < .seconds(5))
        }
    }
}
