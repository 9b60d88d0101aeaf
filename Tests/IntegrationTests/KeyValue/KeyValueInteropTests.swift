import LocalNATSServer
import NATSClient
import NIOCore
import TestSupport
import Testing

@Suite("Buckets shared with nats-py", .timeLimit(.minutes(2)))
struct KeyValueInteropTests {
    /// Prints an entry as ``KeyValueBucket/Entry/summary`` does.
    private static let preamble = """
        import asyncio, nats, os
        from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
        def summary(entry):
            operation = {"DEL": "delete", "PURGE": "purge"}.get(entry.operation)
            return f"{entry.key} {operation or entry.value.decode()} {entry.revision}"
        async def absent(kv, key):
            try:
                await kv.get(key)
            except KeyNotFoundError:
                return True
        async def main():
            nc = await nats.connect(os.environ["URL"])
            js = nc.jetstream()

        """

    private func run(_ body: String, _ server: LocalNATSServer) async throws -> String {
        try await Python.run(script(body), url: server.url)
    }

    private func script(_ body: String) -> String {
        let lines = body.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)\n" }
        return Self.preamble + lines.joined() + "    await nc.close()\nasyncio.run(main())\n"
    }

    @Test("what this client writes, nats-py reads, deletes and purges", arguments: NATSServers.all)
    func oursInPython(binary: NATSServers.Binary) async throws {
        try await withBucket(binary, .init(bucket: "b", history: 5)) { bucket, server in
            try await bucket.put("a.b/c=d", text: "1")
            try await bucket.put("a.b/c=d", text: "2")
            try await bucket.put("gone", text: "x")
            try await bucket.delete("gone")
            try await bucket.put("purged", text: "y")
            try await bucket.purge("purged")
            let output = try await run(
                """
                kv = await js.key_value("b")
                print(summary(await kv.get("a.b/c=d")), summary(await kv.get("a.b/c=d", revision=1)))
                print(await absent(kv, "gone"), await absent(kv, "purged"), await kv.keys())
                print([summary(entry) for entry in await kv.history("a.b/c=d")])
                print([summary(entry) for entry in await kv.history("gone")])
                print([summary(entry) for entry in await kv.history("purged")])
                status = await kv.status()
                print(status.values, status.history, status.ttl or None)
                print(await kv.update("a.b/c=d", b"3", last=2), await kv.create("gone", b"4"))
                try:
                    await kv.create("a.b/c=d", b"5")
                except KeyWrongLastSequenceError:
                    print("exists")
                await kv.delete("a.b/c=d")
                await kv.purge("gone")
                await kv.put("theirs", b"6")
                """,
                server
            )
            #expect(
                output == """
                    a.b/c=d 2 2 a.b/c=d 1 1
                    True True ['a.b/c=d']
                    ['a.b/c=d 1 1', 'a.b/c=d 2 2']
                    ['gone x 3', 'gone delete 4']
                    ['purged purge 6']
                    5 5 None
                    7 8
                    exists

                    """
            )
            #expect(
                try await bucket.history("a.b/c=d").map(\.summary).suffix(2) == ["a.b/c=d 3 7", "a.b/c=d delete 9"]
            )
            #expect(try await bucket.history("gone").map(\.summary) == ["gone purge 10"])
            #expect(try await bucket.keys() == ["theirs"])
            #expect(try await bucket.create("gone", text: "7") == 12)
        }
    }

    @Test(
        "a bucket that nats-py creates opens here; one created here is created there without an error",
        arguments: NATSServers.all
    )
    func creation(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary) { jetStream, server in
            _ = try await run(
                """
                kv = await js.create_key_value(bucket="plain")
                await kv.put("k", b"1")
                kv = await js.create_key_value(bucket="full", history=5, ttl=60, max_value_size=500, max_bytes=100000,
                    description="words", storage="memory", direct=True)
                await kv.put("k", b"2")
                await kv.delete("k")
                await kv.put("k", b"3")
                """,
                server
            )
            let full = KeyValueBucket.Configuration(
                bucket: "full",
                description: "words",
                history: 5,
                timeToLive: .seconds(60),
                maximumValueSize: 500,
                maximumBytes: 100_000,
                storage: .memory
            )
            for bucket in [
                try await jetStream.openKeyValue("plain"), try await jetStream.createKeyValue(.init(bucket: "plain")),
            ] {
                #expect(try await bucket.get("k")?.text == "1")
                #expect(try await bucket.get("k", revision: 1)?.text == "1")
            }
            let bucket = try await jetStream.createKeyValue(full)
            #expect(try await bucket.history("k").map(\.summary) == ["k 2 1", "k delete 2", "k 3 3"])
            #expect(try await bucket.status().timeToLive == .seconds(60))
            // Now the other way round.
            for name in ["plain", "full"] { try await jetStream.deleteKeyValue(name) }
            var ours = full
            ours.allowsValueTimeToLive = true
            _ = try await jetStream.createKeyValue(ours)
            let plain = KeyValueBucket.Configuration(
                bucket: "plain",
                allowsDirectGet: false,
                allowsValueTimeToLive: true
            )
            try await jetStream.createKeyValue(plain).put("k", text: "4")
            let output = try await run(
                """
                kv = await js.create_key_value(bucket="plain")
                print(summary(await kv.get("k")))
                kv = await js.create_key_value(bucket="full", history=5, ttl=60, max_value_size=500, max_bytes=100000,
                    description="words", storage="memory", direct=True)
                print(await absent(kv, "k"))
                """,
                server
            )
            #expect(output == "k 4 1\nTrue\n")
        }
    }

    @Test("nats.go's create succeeds on a bucket created here, and ours on its bucket", arguments: NATSServers.all)
    func sameAsGo(binary: NATSServers.Binary) async throws {
        // What nats.go's CreateKeyValue sends for a Bucket and a History.
        func fromGo(_ bucket: String) -> String {
            """
            {"name":"KV_\(bucket)","subjects":["$KV.\(bucket).>"],"retention":"limits","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,\
            "discard":"new","max_age":0,"max_msgs_per_subject":5,"max_msg_size":-1,"storage":"file","num_replicas":1,\
            "duplicate_window":120000000000,"deny_delete":true,"allow_rollup_hdrs":true,"compression":"none",\
            "allow_direct":true,"mirror_direct":false,"consumer_limits":{}}
            """
        }
        try await withJetStream(binary) { jetStream, _ in
            for (bucket, isOursFirst) in [("ours", true), ("theirs", false)] {
                if isOursFirst { _ = try await jetStream.createKeyValue(.init(bucket: bucket, history: 5)) }
                let answer = try await jetStream.connection.request(
                    payload(fromGo(bucket)),
                    to: "$JS.API.STREAM.CREATE.KV_\(bucket)"
                )
                let text = String(buffer: answer.payload)
                #expect(text.contains("\"config\"") && !text.contains("\"error\""), "\(text)")
                _ = try await jetStream.createKeyValue(.init(bucket: bucket, history: 5))
            }
        }
    }

    @Test("each sees the other's writes in a watch", arguments: NATSServers.all)
    func watches(binary: NATSServers.Binary) async throws {
        // Of a key without history a watch may get the newest revision alone.
        try await withBucket(binary, .init(bucket: "b", history: 5)) { bucket, server in
            try await bucket.put("a", text: "1")
            let reader = WatchReader(try await bucket.watch())
            try await reader.wait(for: 2)
            let python = try Python.start(
                script(
                    """
                    kv = await js.key_value("b")
                    watcher = await kv.watchall()
                    async for entry in watcher:
                        print(summary(entry) if entry else "|")
                        if entry and entry.key == "end":
                            break
                    await kv.put("theirs", b"5")
                    await kv.purge("a")
                    """
                ),
                url: server.url
            )
            try await python.waitForOutput("|")
            try await bucket.put("b", text: "2")
            try await bucket.delete("b")
            try await bucket.put("end", text: "3")
            #expect(try await python.wait() == "a 1 1\n|\nb 2 2\nb delete 3\nend 3 4\n")
            try await reader.wait(for: 7)
            let expected = ["a 1 1", "|", "b 2 2", "b delete 3", "end 3 4", "theirs 5 5", "a purge 6"]
            #expect(reader.updates == expected)
        }
    }
}
