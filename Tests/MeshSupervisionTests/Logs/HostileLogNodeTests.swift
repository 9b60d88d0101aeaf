import Foundation
import LocalNATSServer
import MeshEvents
import NATSClient
import Synchronization
import TestSupport
import Testing

@testable import MeshSupervision

/// Readers of a node that answers what no node should.
@Suite("Logs of a hostile node", .timeLimit(.minutes(5)))
struct HostileLogNodeTests {
    private typealias Send = @Sendable (LogChunk, _ receipts: String) throws -> Void
    private static let node = "evil"
    private static let receipts = "mesh.logs.evil.x"

    /// Runs `body` beside a node that answers each request with `answer`.
    private func withNode(
        _ answer: @escaping @Sendable (LogRequest, Send) async throws -> Void,
        _ body: @escaping @Sendable (NATSConnection) async throws -> Void
    ) async throws {
        try await withServer(NATSServers.first) { server in
            let (node, reader) = (try await connect(server), try await connect(server))
            let requests = try await node.subscribe(to: ControlSubject.logs(of: Self.node))
            try await node.flush()
            let running = Task {
                try await withThrowingDiscardingTaskGroup { group in
                    for try await message in requests {
                        guard let request = LogMessage.decode(message.payload, as: LogRequest.self),
                            let replyTo = message.replyTo
                        else { continue }
                        group.addTask {
                            try? await answer(request) { chunk, receipts in
                                var chunk = chunk
                                (chunk.session, chunk.node) = (request.session, Self.node)
                                try node.publish(LogMessage.encode(chunk), to: replyTo, replyTo: receipts)
                            }
                        }
                    }
                }
            }
            let result: Result<Void, any Error>
            do { result = .success(try await body(reader)) } catch { result = .failure(error) }
            running.cancel()
            _ = await running.result
            await node.close()
            await reader.close()
            try result.get()
        }
    }

    private func logs(
        _ connection: NATSConnection,
        _ query: LogQuery = LogQuery(),
        _ change: (inout RemoteLogTiming) -> Void = { _ in }
    ) -> RemoteLogs {
        var timing = RemoteLogTiming()
        change(&timing)
        return RemoteLogs(Self.node, "t", connection, query, false, timing)
    }

    private static func chunk(_ number: UInt64, _ records: [LogChunk.Record] = [], end: Bool? = nil) -> LogChunk {
        LogChunk(chunk: number, epoch: "e", from: 1, to: 2, end: end, records: records)
    }

    private static func record(_ number: UInt64, _ line: String = "x", dropped: UInt64? = nil) -> LogChunk.Record {
        LogChunk.Record(n: number, t: "2026-11-24T09:04:34.01671Z", s: "stderr", l: line, d: dropped)
    }

    @Test("numbers beyond those of any log end the reading with an error")
    func numbers() async throws {
        let most = UInt64.max
        var chunks = [Self.chunk(1, [Self.record(most)], end: true)]
        chunks.append(Self.chunk(1, [Self.record(1, dropped: most)], end: true))
        for path in [\LogChunk.from, \.to, \.missed] {
            var chunk = Self.chunk(1, end: true)
            chunk[keyPath: path] = most
            chunks.append(chunk)
        }
        var named = Self.chunk(1, end: true)
        named.epoch = String(repeating: "e", count: 10_000)
        chunks.append(named)
        for chunk in chunks {
            try await withNode({ _, send in try send(chunk, Self.receipts) }) { connection in
                let error = await thrownError { () async throws(MeshEventsError) in
                    _ = try await logs(connection).page()
                }
                #expect(error?.code == .protocolViolation, "\(chunk)")
            }
        }
    }

    @Test("receipts go below the subject of the node's logs, and nowhere else")
    func receipts() async throws {
        try await withNode({ _, send in
            try send(Self.chunk(1, [Self.record(1)]), "events.tool.crashed")
            try send(Self.chunk(2, [Self.record(2)]), "mesh.logs.other.x")
            try send(Self.chunk(3, [Self.record(3)]), "mesh.logs.evil.x")
            try send(Self.chunk(4, end: true), "events.tool.crashed")
        }) { connection in
            let events = try await connection.subscribe(to: "events.>")
            let others = try await connection.subscribe(to: "mesh.logs.other.*")
            let own = try await connection.subscribe(to: "mesh.logs.evil.*")
            #expect(try await logs(connection, LogQuery(lines: nil)).page().records.count == 3)
            try await connection.flush()
            var counts: [Int] = []
            for subscription in [events, others, own] {
                subscription.cancel()
                var count = 0
                for try await _ in subscription { count += 1 }
                counts.append(count)
            }
            #expect(counts[0] == 0 && counts[1] == 0 && counts[2] > 0, "\(counts)")
        }
    }

    @Test("the largest numbers that are taken add up without a trap")
    func sums() async throws {
        try await withNode({ _, send in
            for number in UInt64(1)...5 {
                var chunk = Self.chunk(number, [Self.record(1 << 62)], end: number == 5)
                (chunk.missed, chunk.to) = (1 << 62, 1 << 62)
                try send(chunk, Self.receipts)
            }
        }) { connection in
            let page = try await logs(connection).page()
            #expect(page.missed == .max && page.records.count == 5)
        }
    }

    @Test("a page has a bounded number of bytes, whatever the node sends, and lines of a bounded length")
    func bytes() async throws {
        try await withNode({ _, send in
            let line = String(repeating: "ü", count: 10_000)
            for number in UInt64(1)...12 {
                let records = (0..<30).map { Self.record(30 * number + $0, line) }
                try send(Self.chunk(number, records, end: number == 12), Self.receipts)
                try await Task.sleep(for: .milliseconds(30))
            }
        }) { connection in
            let page = try await logs(connection, LogQuery(lines: 2_000)).page()
            let bytes = page.records.reduce(0) { $0 + $1.line.utf8.count }
            #expect(bytes <= RemoteLogs.pageBytes + 10_000 && bytes > 0)
            #expect(page.records.allSatisfy { $0.line.utf8.count < 9_000 && $0.line.contains(" bytes cut … ü") })
            #expect(page.next?.next == page.records.last.map { $0.number + 1 })
        }
    }

    @Test("no more lines come than were asked for, and the next page has the others")
    func lines() async throws {
        try await withNode({ _, send in
            var chunk = Self.chunk(1, (1...500).map { Self.record($0) }, end: true)
            chunk.to = 501
            try send(chunk, Self.receipts)
        }) { connection in
            let page = try await logs(connection, LogQuery(lines: 200)).page()
            #expect(page.records.map(\.number) == Array(1...200) && page.next == LogPosition(epoch: "e", next: 201))
            var count = 0
            for try await _ in logs(connection, LogQuery(lines: 7)) { count += 1 }
            #expect(count == 7)
        }
    }

    @Test("chunks without an end hold neither a page nor a reader", arguments: [false, true])
    func endless(hasMissed: Bool) async throws {
        try await withNode({ _, send in
            for number in UInt64(1)...10_000 {
                var chunk = Self.chunk(number)
                if hasMissed { chunk.missed = 1 }
                try send(chunk, Self.receipts)
                try await Task.sleep(for: .milliseconds(30))
            }
        }) { connection in
            let clock = ContinuousClock()
            let page = await clock.measure {
                // What it was told of is a page; the others have their turn.
                _ = try? await logs(connection) { $0.page = .seconds(1) }.page()
            }
            #expect(page < .seconds(20))
            let error = await thrownError { () async throws(MeshEventsError) in
                for try await _ in logs(connection, LogQuery(), { $0.progress = .seconds(1) }) {}
            }
            #expect(
                error?.code == .timeout && error?.message.contains("end of its log") == true,
                "\(String(describing: error))"
            )
        }
    }

    @Test("a node that says nothing holds a page no longer than its time")
    func silent() async throws {
        try await withNode({ _, _ in }) { connection in
            let error = await thrownError { () async throws(MeshEventsError) in
                _ = try await logs(connection) { $0.page = .seconds(1) }.page()
            }
            #expect(error?.code == .timeout && error?.message.contains("does not answer") == true)
        }
    }

    @Test("a node that never sends the first chunk is not asked without pause")
    func gaps() async throws {
        let asked = CountedRequests()
        try await withNode({ _, send in
            asked.count.withLock { $0 += 1 }
            try send(Self.chunk(7, [Self.record(1)]), Self.receipts)
        }) { connection in
            let error = await thrownError { () async throws(MeshEventsError) in
                for try await _ in logs(connection, LogQuery(), { $0.progress = .seconds(3) }) {}
            }
            #expect(error?.code == .timeout)
            #expect((1...10).contains(asked.count.withLock { $0 }))
        }
    }
}

/// How often a node was asked.
private final class CountedRequests: Sendable {
    let count = Mutex(0)
}
