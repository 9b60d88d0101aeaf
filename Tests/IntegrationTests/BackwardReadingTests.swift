import LocalNATSServer
import NATSClient
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import MeshEvents
@testable import MeshEventsNATS

/// Reading the newest: what has come is kept, and no more is fetched than is wanted.
@Suite("Reading backwards", .timeLimit(.minutes(3)))
struct BackwardReadingTests {
    /// Stores so many messages of so many bytes.
    private func fill(_ store: JetStreamStore, _ count: Int, _ size: Int, _ subject: String) async throws {
        let payload = ByteBuffer(repeating: UInt8(ascii: "x"), count: size)
        for _ in 0..<count { _ = try await store.jetStream.publish(payload, to: subject) }
    }

    @Test("a link that is lost again and again brings something each time", arguments: NATSServers.all, [false, true])
    func progress(binary: NATSServers.Binary, readsMessages: Bool) async throws {
        try await withStore(binary) { writer, _, server in
            _ = try await writer.open(PersistentEventBus.Configuration())
            try await fill(writer, 60, 20_000, "events.user.large")
            let proxy = try await TCPProxy.start(before: server.port)
            // No connection lasts for all of it.
            proxy.treat { $0.cutAfter = 300_000...400_000 }
            let reader = try await NATSTransport.connect(to: proxy.url)
            let store = JetStreamStore(reader.connection)
            store.readsMessages.store(readsMessages, ordering: .relaxed)
            let count = readsMessages ? 20 : 50
            for pattern: EventPattern in readsMessages ? [.all] : [.all, "events.user.large"] {
                let before = proxy.down.bytes
                let found = try await store.newest(count, matching: pattern, before: nil, timeout: .seconds(20))
                #expect(found.map(\.sequence) == Array(UInt64(61 - count)...60))
                let bytes = proxy.down.bytes - before
                // What is under way when a connection is reset is lost; without a consumer messages are texts, too.
                #expect(bytes < (readsMessages ? 6 : 3) * count * 20_000, "\(bytes)")
            }
            #expect(proxy.cuts >= (readsMessages ? 1 : 4))
            await reader.close()
            await proxy.stop()
        }
    }

    @Test("no more bytes are fetched than a page takes", arguments: NATSServers.all)
    func bytes(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { writer, _, server in
            _ = try await writer.open(PersistentEventBus.Configuration())
            try await fill(writer, 40, 500_000, "events.user.large")
            // The stream's messages are small, those that are read are not.
            try await fill(writer, 400, 10, "events.user.small")
            let proxy = try await TCPProxy.start(before: server.port)
            let reader = try await NATSTransport.connect(to: proxy.url)
            let store = JetStreamStore(reader.connection)
            let room = 4 << 20
            var (before, sequences): (UInt64?, [UInt64]) = (nil, [])
            repeat {
                let start = proxy.down.bytes
                let part = try await store.newest(
                    100,
                    maximumBytes: room,
                    matching: "events.user.large",
                    before: before,
                    timeout: .seconds(20)
                )
                #expect((1...10).contains(part.messages.count), "\(part.messages.count)")
                let bytes = proxy.down.bytes - start
                // Of the first, what shows how large they are.
                #expect(bytes < 7 << 20, "\(bytes)")
                sequences = part.messages.map(\.sequence) + sequences
                before = part.isCutShort ? part.messages.first?.sequence : nil
            } while before != nil
            #expect(sequences == Array(1...40))
            await reader.close()
            await proxy.stop()
        }
    }

    @Test("any sizes, gaps and losses: the newest that fit, each once")
    func anyStream() throws {
        for seed in 0..<300 {
            var generator = SeededGenerator(seed: UInt64(seed))
            let count = UInt64.random(in: 1...200, using: &generator)
            let messages = (1...count).map { sequence in
                let isLarge = Int.random(in: 0..<4, using: &generator) == 0
                let size = Int.random(in: 0...(isLarge ? 400_000 : 200), using: &generator)
                return StoredMessage(
                    subject: "s",
                    payload: Array(repeating: 0, count: size),
                    sequence: sequence * 3,
                    storedAt: .epoch
                )
            }
            let limit = Int.random(in: 1...220, using: &generator)
            let most = Bool.random(using: &generator) ? Int.max : Int.random(in: 1...3_000_000, using: &generator)
            var reading = BackwardReading(limit: limit, maximumBytes: most, before: nil)
            let isSame = reading.look(at: Self.state(messages))
            #expect(isSame)
            var steps = 0
            while !reading.isDone {
                steps += 1
                try #require(steps < 1_000)
                let start: UInt64
                let range = reading.range
                if let next = reading.next {
                    start = next
                } else {
                    // As a search does, a little beside what was asked for.
                    let matching = messages.filter { range.contains($0.sequence) }.suffix(reading.wanted + 2)
                    start = matching.first?.sequence ?? range.lowerBound
                    reading.begin(at: start)
                }
                let all = messages.filter { $0.sequence >= start && $0.sequence < range.upperBound }
                let isLost = Int.random(in: 0..<3, using: &generator) == 0
                var (taken, bytes): ([StoredMessage], Int) = ([], 0)
                for message in all {
                    if bytes >= reading.readBytes || (isLost && Int.random(in: 0..<4, using: &generator) == 0) { break }
                    taken.append(message)
                    bytes += message.payload.count
                }
                reading.take(taken, isWhole: taken.count == all.count && !isLost, expected: UInt64(all.count))
            }
            let part = reading.part
            #expect(part.messages.map(\.sequence) == messages.suffix(part.messages.count).map(\.sequence), "\(seed)")
            #expect(part.messages.count == min(limit, messages.count) || part.isCutShort, "\(seed)")
            #expect(!part.messages.isEmpty, "\(seed)")
        }
    }

    private static func state(_ messages: [StoredMessage]) -> StreamState {
        StreamState(
            name: "S",
            messages: UInt64(messages.count),
            bytes: UInt64(messages.reduce(0) { $0 + $1.payload.count }),
            firstSequence: messages.first?.sequence ?? 1,
            lastSequence: messages.last?.sequence ?? 0
        )
    }
}
