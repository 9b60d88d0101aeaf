import LocalNATSServer
import TestSupport
import Testing

/// Another implementation on the other side.
@Suite struct InteropTests {
    private static let receive = """
        import asyncio, nats, os, sys
        async def main():
            nc = await nats.connect(os.environ["URL"])
            done = asyncio.get_running_loop().create_future()
            async def received(message):
                sys.stdout.buffer.write(message.subject.encode() + b" " + message.data + b"\\n")
                done.set_result(None)
            await nc.subscribe("events.>", cb=received)
            await nc.flush()
            print("ready")
            await asyncio.wait_for(done, 15)
            await nc.close()
        asyncio.run(main())
        """

    @Test(arguments: [[], ["--ack"]])
    func whatIsEmittedArrivesByteForByte(extra: [String]) async throws {
        try await withServer { server in
            if !extra.isEmpty {
                // The stream first, so that only the event is seen.
                let create = try await Command.run(["emit", "user.first", "--ack", "--nats", server.url])
                #expect(create.code == 0)
            }
            let python = try Python.start(Self.receive, url: server.url)
            try await python.waitForOutput("ready")
            let emit = try await Command.run(
                ["emit", "user.é", "text=Grüße <&>", "n=1.50", "--node", "pi", "--json", "--nats", server.url] + extra
            )
            #expect(emit.code == 0, "\(emit.error)")
            #expect(try await python.wait() == "ready\nevents.user.é \(emit.output)")
            #expect(emit.output.hasSuffix(#"Z","data":{"text":"Grüße <&>","n":1.50}}"# + "\n"))
        }
    }

    @Test(arguments: NATSServers.all)
    func whatOthersWriteIsShown(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            #expect(try await Command.run(["emit", "user.first", "--ack", "--nats", server.url]).code == 0)
            let watch = try Command(["watch", "--limit", "4", "--json", "--nats", server.url])
            let rows = try Command(["watch", "--limit", "4", "--nats", server.url])
            try await watch.waitForError("watching")
            try await rows.waitForError("watching")
            // As the Python tool SDK and the Go mesh write, with what is no event in between.
            try await Python.run(
                #"""
                import asyncio, json, nats, os
                async def main():
                    nc = await nats.connect(os.environ["URL"])
                    sdk = {"type": "user.transcript", "node": "pi", "timestamp": "2026-11-24T09:04:34Z", "data": {"file": "ä.wav"}}
                    await nc.publish("events.user.transcript", json.dumps(sdk).encode())
                    await nc.publish("events.bad", b"not json \x1b[31m")
                    await nc.publish("events.bad", b'{"type":"a","node":"n","data":[1]}')
                    await nc.publish("events.tool.started", b'{"type":"tool.started","node":"go","timestamp":"2026-11-24T10:04:34.123456789+01:00","data":{"tool":"a\\u003cb"}}')
                    await nc.publish("events.node.joined", b'{"node":"X","event":"reconnect"}')
                    await nc.publish("events.user.headers", b'{"type":"user.headers","data":{}}', headers={"Trace": "1"})
                    await nc.flush()
                    await nc.close()
                asyncio.run(main())
                """#,
                url: server.url
            )
            let outcome = try await watch.wait()
            #expect(outcome.code == 0)
            try #require(outcome.lines.count == 4)
            #expect(
                outcome.lines[0]
                    == #"{"type":"user.transcript","node":"pi","timestamp":"2026-11-24T09:04:34Z","data":{"file":"\u00e4.wav"}}"#
            )
            #expect(
                outcome.lines[1]
                    == #"{"type":"tool.started","node":"go","timestamp":"2026-11-24T09:04:34.123456789Z","data":{"tool":"a\u003cb"}}"#
            )
            #expect(outcome.lines[2].hasPrefix(#"{"type":"node.joined","node":"X","timestamp":""#))
            #expect(outcome.lines[2].hasSuffix(#","data":null}"#))
            #expect(outcome.lines[3].hasPrefix(#"{"type":"user.headers","node":"","timestamp":""#))
            #expect(outcome.error.contains("that is not an event"))
            #expect(!outcome.error.contains("\u{1B}"))
            let shown = try await rows.wait()
            #expect(shown.output.contains("2026-11-24 09:04:34.123  tool.started"))

            let list = try await Command.run(["list", "--json", "--nats", server.url])
            #expect(list.lines.count == 5)
            for read in [
                list, try await Command.run(["replay", "--nats", server.url]),
                try await Command.run(["export", "--nats", server.url]),
            ] {
                #expect(
                    read.code == 0 && read.error.contains("skipped 2 stored messages that are not events"),
                    "\(read.error)"
                )
            }
        }
    }
}
