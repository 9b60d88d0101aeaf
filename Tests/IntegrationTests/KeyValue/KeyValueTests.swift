import Foundation
import LocalNATSServer
import NATSClient
import NIOCore
import TestSupport
import Testing

/// Runs `body` with a bucket of a fresh server.
func withBucket(
    _ binary: NATSServers.Binary,
    _ configuration: KeyValueBucket.Configuration = .init(bucket: "b"),
    _ body: (KeyValueBucket, LocalNATSServer) async throws -> Void
) async throws {
    try await withServer(binary) { server in
        let connection = try await connect(server)
        try await body(try await JetStream(connection: connection).createKeyValue(configuration), server)
        await connection.close()
    }
}

extension KeyValueBucket.Entry {
    /// Key, value or operation, and revision.
    var summary: String { "\(key) \(operation == .put ? text : "\(operation)") \(revision)" }
}

@Suite("A key-value bucket on real servers", .timeLimit(.minutes(2)))
struct KeyValueTests {
    @Test("put, get, update, delete, purge, keys, history, status", arguments: [true, false], NATSServers.all)
    func operations(isDirect: Bool, binary: NATSServers.Binary) async throws {
        let configuration = KeyValueBucket.Configuration(bucket: "b", history: 5, allowsDirectGet: isDirect)
        try await withBucket(binary, configuration) { bucket, _ in
            #expect(try await bucket.get("a/b=c.d-e") == nil)
            #expect(try await bucket.put("a/b=c.d-e", text: "1") == 1)
            let first = try #require(try await bucket.get("a/b=c.d-e"))
            #expect(first.summary == "a/b=c.d-e 1 1" && first.bucket == "b" && first.delta == 0)
            #expect(abs(Double(first.created) / 1e9 - Date().timeIntervalSince1970) < 60)
            #expect(try await bucket.update("a/b=c.d-e", text: "2", expectedRevision: 1) == 2)
            let late = try await #require(throws: KeyValueError.self) {
                try await bucket.update("a/b=c.d-e", text: "3", expectedRevision: 1)
            }
            #expect(late.code == .wrongRevision && late.revision == 2 && !late.isRetriable, "\(late)")
            #expect(try await bucket.get("a/b=c.d-e", revision: 1) == first)
            #expect(try await bucket.get("a/b=c.d-e", revision: 9) == nil)
            #expect(try await bucket.get("a/b=c.d-e", revision: 0) == nil)
            #expect(try await bucket.put("other", text: "") == 3)
            #expect(try await bucket.get("a/b=c.d-e", revision: 3) == nil)
            #expect(try await bucket.get("other")?.text == "")
            #expect(try await bucket.keys() == ["a/b=c.d-e", "other"])
            #expect(try await bucket.keys(matching: "*.d-e") == ["a/b=c.d-e"])
            #expect(try await bucket.keys(matching: "nothing.>") == [])
            await #expect(throws: KeyValueError.self) {
                try await bucket.delete("a/b=c.d-e", expectedRevision: 1)
            }
            #expect(try await bucket.delete("a/b=c.d-e", expectedRevision: 2) == 4)
            #expect(try await bucket.get("a/b=c.d-e") == nil)
            #expect(try await bucket.get("a/b=c.d-e", revision: 4) == nil)
            #expect(try await bucket.keys() == ["other"])
            let history = try await bucket.history("a/b=c.d-e")
            #expect(history.map(\.summary) == ["a/b=c.d-e 1 1", "a/b=c.d-e 2 2", "a/b=c.d-e delete 4"])
            #expect(history.map(\.delta) == [2, 1, 0])
            #expect(try await bucket.create("a/b=c.d-e", text: "4") == 5)
            let taken = try await #require(throws: KeyValueError.self) {
                try await bucket.create("a/b=c.d-e", text: "5")
            }
            #expect(taken.code == .keyExists && taken.revision == 5, "\(taken)")
            #expect(try await bucket.purge("a/b=c.d-e", expectedRevision: 5) == 6)
            #expect(try await bucket.history("a/b=c.d-e").map(\.summary) == ["a/b=c.d-e purge 6"])
            #expect(try await bucket.history("never") == [])
            #expect(try await bucket.create("a/b=c.d-e", text: "6") == 7)
            let status = try await bucket.status()
            #expect(status.bucket == "b" && status.values == 3 && status.bytes > 0 && status.history == 5)
            #expect(status.timeToLive == nil)
        }
    }

    @Test("a history of 5 keeps the last five revisions", arguments: NATSServers.all)
    func history(binary: NATSServers.Binary) async throws {
        try await withBucket(binary, .init(bucket: "b", history: 5)) { bucket, _ in
            for number in 1...8 { try await bucket.put("k", text: "\(number)") }
            #expect(try await bucket.history("k").map(\.text) == ["4", "5", "6", "7", "8"])
            #expect(try await bucket.get("k", revision: 3) == nil)
            #expect(try await bucket.get("k", revision: 4)?.text == "4")
        }
    }

    @Test("of 20 that create the same key, exactly one succeeds, also after a deletion", arguments: NATSServers.all)
    func concurrentCreate(binary: NATSServers.Binary) async throws {
        try await withBucket(binary) { bucket, _ in
            for round in 0..<3 {
                let winners = await withTaskGroup(of: Result<UInt64, KeyValueError>.self) { group in
                    for number in 0..<20 {
                        group.addTask {
                            do throws(KeyValueError) {
                                return .success(try await bucket.create("lock", text: "\(number)"))
                            } catch {
                                return .failure(error)
                            }
                        }
                    }
                    return await group.reduce(into: []) { $0.append($1) }
                }
                let revisions = winners.compactMap { try? $0.get() }
                #expect(revisions.count == 1, "round \(round)")
                for case .failure(let error) in winners { #expect(error.code == .keyExists, "\(error)") }
                try await bucket.delete("lock", expectedRevision: revisions.first)
            }
        }
    }

    @Test("20 counters that update by revision lose no step", arguments: NATSServers.all)
    func counters(binary: NATSServers.Binary) async throws {
        try await withBucket(binary) { bucket, _ in
            try await bucket.put("n", text: "0")
            try await withThrowingTaskGroup { group in
                for _ in 0..<20 {
                    group.addTask {
                        while true {
                            // From the server that decides: this one is alone.
                            let entry = try #require(try await bucket.get("n"))
                            let next = try #require(Int(entry.text)) + 1
                            do {
                                try await bucket.update("n", text: "\(next)", expectedRevision: entry.revision)
                                return
                            } catch let error as KeyValueError where error.code == .wrongRevision {}
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await bucket.get("n")?.text == "20")
        }
    }

    @Test("values expire", arguments: NATSServers.all)
    func expiry(binary: NATSServers.Binary) async throws {
        try await withBucket(binary, .init(bucket: "b", timeToLive: .milliseconds(300))) { bucket, _ in
            #expect(try await bucket.status().timeToLive == .milliseconds(300))
            try await bucket.put("k", text: "1")
            try await eventually("the value to expire") { try await bucket.get("k") == nil }
            #expect(try await bucket.keys() == [])
            try await bucket.create("k", text: "2")
        }
    }

    @Test("a value that is too large, and a full bucket, are refused", arguments: NATSServers.all)
    func limits(binary: NATSServers.Binary) async throws {
        let configuration = KeyValueBucket.Configuration(bucket: "b", maximumValueSize: 1_000, maximumBytes: 4_000)
        try await withBucket(binary, configuration) { bucket, _ in
            let value = ByteBuffer(repeating: 0x61, count: 800)
            for size in [1_001, 2 << 20] {
                let large = try await #require(throws: KeyValueError.self) {
                    try await bucket.put("k", ByteBuffer(repeating: 0x61, count: size))
                }
                #expect(large.code == .valueTooLarge, "\(large)")
            }
            let full = try await #require(throws: KeyValueError.self) {
                for number in 0..<10 { try await bucket.put("k\(number)", value) }
            }
            #expect(full.code == .bucketFull && !full.isRetriable, "\(full)")
            #expect(try await bucket.keys() == ["k0", "k1", "k2", "k3"])
        }
    }

    @Test("a bucket is created once, opened, deleted; errors say what there is", arguments: NATSServers.all)
    func management(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary) { jetStream, _ in
            func code(_ body: () async throws(KeyValueError) -> Void) async -> KeyValueError.Code? {
                await thrownError(body)?.code
            }
            #expect(
                await code { () throws(KeyValueError) in _ = try await jetStream.openKeyValue("b") } == .bucketNotFound
            )
            #expect(
                await code { () throws(KeyValueError) in try await jetStream.deleteKeyValue("b") } == .bucketNotFound
            )
            #expect(
                await code { () throws(KeyValueError) in _ = try await jetStream.openKeyValue("b.c") } == .invalidBucket
            )
            let bucket = try await jetStream.createKeyValue(.init(bucket: "b", description: "ours"))
            try await bucket.put("k", text: "1")
            // Again, also as clients create it that have another mind about direct gets.
            for isDirect in [true, false] {
                let again = KeyValueBucket.Configuration(
                    bucket: "b",
                    description: "ours",
                    allowsDirectGet: isDirect,
                    allowsValueTimeToLive: true
                )
                #expect(try await jetStream.createKeyValue(again).get("k")?.text == "1")
            }
            let other = await thrownError { () throws(KeyValueError) in
                _ = try await jetStream.createKeyValue(.init(bucket: "b", description: "ours", history: 3))
            }
            #expect(other?.code == .bucketExists)
            #expect(other?.message.contains("max_msgs_per_subject is 1 instead of 3") == true, "\(other as Any)")
            _ = try await jetStream.createStream(StreamConfiguration(name: "KV_plain", subjects: ["plain"]))
            #expect(
                await code { () throws(KeyValueError) in _ = try await jetStream.openKeyValue("plain") } == .notABucket
            )
            try await jetStream.deleteKeyValue("b")
            #expect(await code { () throws(KeyValueError) in _ = try await bucket.get("k") } == .bucketNotFound)
            #expect(
                await code { () throws(KeyValueError) in try await bucket.put("k", text: "2") } == .bucketNotFound
            )
            #expect(await code { () throws(KeyValueError) in _ = try await bucket.keys() } == .bucketNotFound)
            #expect(await code { () throws(KeyValueError) in _ = try await bucket.watch() } == .bucketNotFound)
            #expect(await code { () throws(KeyValueError) in _ = try await bucket.get("a..b") } == .invalidKey)
        }
    }

    @Test("a put whose acknowledgement is lost with the connection is stored once", arguments: NATSServers.all)
    func lostAcknowledgement(binary: NATSServers.Binary) async throws {
        try await withBucket(binary, .init(bucket: "b", history: 5)) { bucket, server in
            let proxy = try await TCPProxy.start(before: server.port)
            let slow = try await JetStream(connection: try await connect(at: proxy.url)).openKeyValue("b")
            for (number, operation) in ["put", "create", "update", "purge"].enumerated() {
                proxy.treat { $0.latency = .milliseconds(400) }
                let revision = UInt64(number) + 1
                async let stored = withDeadline(.seconds(60), "a write over a cut connection") {
                    switch operation {
                    case "put": try await slow.put("k", text: "1")
                    case "create": try await slow.create("l", text: "2")
                    case "update": try await slow.update("k", text: "3", expectedRevision: 1)
                    default: try await slow.purge("k")
                    }
                }
                try await eventually("the server to store the write") {
                    try await bucket.status().stream.state.lastSequence == revision
                }
                proxy.treat { $0.latency = .zero }
                proxy.cut()
                #expect(try await stored == revision, "\(operation)")
            }
            #expect(try await bucket.status().stream.state.lastSequence == 4)
            await slow.jetStream.connection.close()
            await proxy.stop()
        }
    }

    @Test("when no acknowledgement comes, the outcome is uncertain", arguments: NATSServers.all)
    func uncertain(binary: NATSServers.Binary) async throws {
        try await withBucket(binary) { bucket, server in
            let losses = Counter()
            let proxy = try await MessageLossProxy.start(before: server.port) { _, _ in losses.count > 0 }
            let lossy = try await JetStream(connection: try await connect(at: proxy.url)).openKeyValue("b")
            losses.add()
            let error = try await #require(throws: KeyValueError.self) {
                try await lossy.put("k", text: "1", timeout: .milliseconds(300))
            }
            #expect(error.code == .uncertain && !error.isRetriable, "\(error)")
            #expect(try await bucket.get("k")?.text == "1")
            await lossy.jetStream.connection.close()
            await proxy.stop()
        }
    }

    @Test("a bucket in another domain is written, read and watched over a leaf node", arguments: NATSServers.all)
    func domains(binary: NATSServers.Binary) async throws {
        try await withHubAndLeaf(binary, .both) { hub, leaf in
            let (near, far) = (try await connect(hub), try await connect(leaf))
            let own = try await JetStream(connection: near).createKeyValue(.init(bucket: "b", history: 3))
            let local = try await JetStream(connection: far).createKeyValue(.init(bucket: "b"))
            try await local.put("k", text: "leaf")
            let remote = try await withDeadline(.seconds(60), "the leaf to reach the hub") {
                while true {
                    do {
                        return try await JetStream(connection: far, domain: "hub").openKeyValue("b")
                    } catch let error as KeyValueError where error.isRetriable {}
                }
            }
            #expect(try await remote.create("k", text: "1") == 1)
            #expect(try await remote.get("k")?.text == "1")
            #expect(try await own.get("k")?.text == "1")
            #expect(try await local.get("k")?.text == "leaf")
            try await remote.delete("k")
            #expect(try await remote.history("k").map(\.summary) == ["k 1 1", "k delete 2"])
            var updates = try await remote.watch().makeAsyncIterator()
            guard case .entry(let entry)? = try await updates.next() else { throw TestSupportError("no entry came") }
            #expect(entry.summary == "k delete 2")
            await near.close()
            await far.close()
        }
    }
}
