import LocalNATSServer
import MeshConcurrency
import NATSClient
import NIOCore
import TestSupport
import Testing

/// Collects the updates of a watch in a task of its own, as text: entries, and `|` for the marker.
final class WatchReader: Sendable {
    private struct State {
        var updates: [String] = []
        var error: KeyValueError?
        var isDone = false
    }

    private let state = Locked(State())
    private let task = Locked<Task<Void, Never>?>(nil)

    init(_ watch: KeyValueBucket.Watch) {
        let state = state
        let reading = Task {
            do throws(KeyValueError) {
                for try await update in watch {
                    let text = if case .entry(let entry) = update { entry.summary } else { "|" }
                    state.withLock { $0.updates.append(text) }
                }
            } catch {
                state.withLock { $0.error = error }
            }
            state.withLock { $0.isDone = true }
        }
        task.withLock { $0 = reading }
    }

    deinit { cancel() }

    var updates: [String] { state.withLock { $0.updates } }
    var error: KeyValueError? { state.withLock { $0.error } }
    var isDone: Bool { state.withLock { $0.isDone } }

    func cancel() { task.withLock { $0 }?.cancel() }

    /// Waits until so many updates have come, or the watch has ended.
    func wait(for count: Int) async throws {
        try await eventually("\(count) updates of \(updates.count)") { updates.count >= count || isDone }
    }

    /// Waits for the end of the watch; the error.
    func end() async throws -> KeyValueError? {
        try await eventually("the watch to end") { isDone }
        return error
    }
}

@Suite("Watching a bucket on real servers", .timeLimit(.minutes(3)))
struct KeyValueWatchTests {
    @Test("an empty bucket has only the marker; then every change comes", arguments: NATSServers.all)
    func empty(binary: NATSServers.Binary) async throws {
        try await withBucket(binary) { bucket, _ in
            let all = WatchReader(try await bucket.watch())
            let some = WatchReader(try await bucket.watch("a.*", ignoresDeletes: true))
            try await all.wait(for: 1)
            try await some.wait(for: 1)
            try await bucket.put("a.b", text: "1")
            try await bucket.put("c", text: "2")
            // Of a key without history a watch may get the newest revision alone.
            try await all.wait(for: 3)
            try await some.wait(for: 2)
            try await bucket.delete("a.b")
            try await bucket.purge("c")
            try await bucket.put("a.d", text: "3")
            try await all.wait(for: 6)
            try await some.wait(for: 3)
            #expect(all.updates == ["|", "a.b 1 1", "c 2 2", "a.b delete 3", "c purge 4", "a.d 3 5"])
            #expect(some.updates == ["|", "a.b 1 1", "a.d 3 5"])
            all.cancel()
            #expect(try await all.end() == nil)
            try await eventually("the consumer to be deleted") {
                try await bucket.status().stream.state.consumerCount == 1
            }
        }
    }

    @Test("a watch begins where it is told", arguments: NATSServers.all)
    func starts(binary: NATSServers.Binary) async throws {
        try await withBucket(binary, .init(bucket: "b", history: 5)) { bucket, _ in
            for number in 1...3 { try await bucket.put("a", text: "\(number)") }
            try await bucket.put("b", text: "4")
            let cases: [(KeyValueBucket.WatchStart, [String])] = [
                (.values, ["a 3 3", "b 4 4", "|"]), (.history, ["a 1 1", "a 2 2", "a 3 3", "b 4 4", "|"]),
                (.changes, ["|"]), (.revision(3), ["a 3 3", "b 4 4", "|"]), (.revision(9), ["|"]),
            ]
            var readers: [WatchReader] = []
            for (start, _) in cases { readers.append(WatchReader(try await bucket.watch(from: start))) }
            for (reader, expected) in zip(readers, cases) { try await reader.wait(for: expected.1.count) }
            try await bucket.put("c", text: "5")
            for (reader, (start, expected)) in zip(readers, cases) {
                let isLater = start == .revision(9)
                if !isLater { try await reader.wait(for: expected.count + 1) }
                #expect(reader.updates == expected + (isLater ? [] : ["c 5 5"]), "\(start)")
            }
            var bare = try await bucket.watch("a", withoutValues: true).makeAsyncIterator()
            guard case .entry(let entry)? = try await bare.next() else { throw TestSupportError("no entry came") }
            #expect(entry.summary == "a  3")
        }
    }

    @Test("1 000 keys come once each before the marker, while others write", arguments: NATSServers.all, [1, 5])
    func thousand(binary: NATSServers.Binary, history: Int) async throws {
        try await withBucket(binary, .init(bucket: "b", history: history)) { bucket, _ in
            try await put(0..<1_000, into: bucket)
            let watch = try await bucket.watch()
            async let written: Void = put(1_000..<1_200, into: bucket)
            let reader = WatchReader(watch)
            // Before the reader: a failed write explains why that does not end.
            try await written
            try await reader.wait(for: 1_201)
            let marker = try #require(reader.updates.firstIndex(of: "|"))
            #expect(marker >= 1_000)
            let keys = reader.updates.compactMap { $0.split(separator: " ").first.map(String.init) }.filter {
                $0 != "|"
            }
            #expect(keys.count == 1_200 && Set(keys).count == 1_200)
            #expect(Set(keys[..<marker]).isSuperset(of: (0..<1_000).map { "k\($0)" }))
            #expect(try await bucket.keys() == (0..<1_200).map { "k\($0)" }.sorted())
        }
    }

    @Test("values of a megabyte come, too", arguments: NATSServers.all, [1, 5])
    func large(binary: NATSServers.Binary, history: Int) async throws {
        try await withBucket(binary, .init(bucket: "b", history: history)) { bucket, _ in
            for number in 0..<6 { try await bucket.put("k\(number)", ByteBuffer(repeating: 0x61, count: 1_000_000)) }
            let watch = try await bucket.watch()
            let sizes = try await withDeadline(.seconds(60), "the values") {
                var sizes: [Int] = []
                for try await update in watch {
                    guard case .entry(let entry) = update else { break }
                    sizes.append(entry.value.readableBytes)
                }
                return sizes
            }
            #expect(sizes == Array(repeating: 1_000_000, count: 6))
        }
    }

    @Test("a watch goes on over a server that is killed and started again", arguments: NATSServers.all)
    func restart(binary: NATSServers.Binary) async throws {
        try await withBucket(binary, .init(bucket: "b", history: 64)) { bucket, server in
            try await put(0..<20, into: bucket)
            let reader = WatchReader(try await bucket.watch())
            try await reader.wait(for: 21)
            for round in 1...2 {
                await server.kill()
                try await server.restart()
                try await put(20 * round..<20 * (round + 1), into: bucket)
                try await reader.wait(for: 20 * (round + 1) + 1)
            }
            var expected = (0..<60).map { "k\($0) \($0) \($0 + 1)" }
            expected.insert("|", at: 20)
            #expect(reader.updates == expected)
        }
    }

    @Test("a watch over a connection that is cut again and again loses and repeats nothing", arguments: NATSServers.all)
    func cuts(binary: NATSServers.Binary) async throws {
        try await withBucket(binary, .init(bucket: "b", history: 2)) { bucket, server in
            try await put(0..<300, into: bucket)
            let proxy = try await TCPProxy.start(before: server.port)
            // Each connection breaks within the first values, or in the middle of a later one.
            proxy.treat { $0.cutAfter = 8_000...16_000 }
            let far = try await JetStream(connection: try await connect(at: proxy.url)).openKeyValue("b")
            let reader = WatchReader(try await far.watch())
            try await reader.wait(for: 100)
            try await put(300..<600, into: bucket)
            try await reader.wait(for: 450)
            proxy.cut()
            try await put(600..<700, into: bucket)
            try await reader.wait(for: 701)
            #expect(reader.error == nil)
            let updates = reader.updates
            #expect(updates.filter { $0 != "|" } == (0..<700).map { "k\($0) \($0) \($0 + 1)" })
            #expect(updates.filter { $0 == "|" }.count == 1)
            #expect((updates.firstIndex(of: "|") ?? 0) >= 300)
            #expect(proxy.cuts > 2)
            await far.jetStream.connection.close()
            #expect(try await reader.end()?.underlying?.underlying?.code == .closed)
            await proxy.stop()
        }
    }

    @Test("a consumer that is gone is made again", arguments: NATSServers.all)
    func lostConsumer(binary: NATSServers.Binary) async throws {
        try await withBucket(binary) { bucket, _ in
            let jetStream = bucket.jetStream
            try await bucket.put("a", text: "1")
            let reader = WatchReader(try await bucket.watch())
            try await reader.wait(for: 2)
            for number in 2...3 {
                for consumer in try await jetStream.consumers(on: "KV_b") {
                    try await jetStream.deleteConsumer(consumer.name, on: "KV_b")
                }
                try await bucket.put("a", text: "\(number)")
                try await reader.wait(for: number + 1)
            }
            #expect(reader.updates == ["a 1 1", "|", "a 2 2", "a 3 3"])
        }
    }

    @Test("a deleted bucket ends a watch, and so does one that was created again", arguments: NATSServers.all)
    func deleted(binary: NATSServers.Binary) async throws {
        try await withBucket(binary) { bucket, _ in
            try await bucket.put("a", text: "1")
            for isCreatedAgain in [true, false] {
                let reader = WatchReader(try await bucket.watch())
                try await reader.wait(for: 2)
                try await bucket.jetStream.deleteKeyValue("b")
                if isCreatedAgain {
                    _ = try await bucket.jetStream.createKeyValue(.init(bucket: "b"))
                    try await bucket.put("a", text: "2")
                }
                let error = try #require(try await reader.end())
                #expect(error.code == (isCreatedAgain ? .bucketReplaced : .bucketNotFound), "\(error)")
                #expect(reader.updates.count == 2, "\(reader.updates)")
            }
        }
    }

    /// Puts keys `k<number>` with their numbers as values.
    private func put(_ numbers: Range<Int>, into bucket: KeyValueBucket) async throws {
        for number in numbers { try await bucket.put("k\(number)", text: "\(number)", timeout: .seconds(20)) }
    }
}
