import Foundation
import LocalNATSServer
import MeshEvents
import NATSClient
import TestSupport
import Testing

/// CloudEvents on the command line, read by another implementation: PyPI's `cloudevents`.
@Suite struct CloudEventCommandTests {
    /// Reads lines of structured mode on standard input, says of each what it found.
    private static let structured = #"""
        import json, os
        from cloudevents.core.bindings.http import HTTPMessage, from_http_event
        with open(os.environ["FILE"], "rb") as file:
            for line in file:
                message = HTTPMessage({"content-type": "application/cloudevents+json"}, line)
                event = from_http_event(message)
                print(json.dumps([event.get_id(), event.get_source(), event.get_type(), event.get_subject(),
                    event.get_time().isoformat(), event.get_datacontenttype(), event.get_data(),
                    event.get_attributes().get("sequence")]))
        """#

    /// Receives one message and reads it in binary mode; the binding of NATS differs from HTTP's in where the content type
    /// stands.
    private static let binary = #"""
        import asyncio, json, nats, os
        async def main():
            nc = await nats.connect(os.environ["URL"])
            done = asyncio.get_running_loop().create_future()
            async def received(message):
                if not done.done(): done.set_result(message)
            await nc.subscribe("events.user.*", cb=received)
            await nc.flush()
            print("ready", flush=True)
            message = await asyncio.wait_for(done, 15)
            await nc.close()
            print(json.dumps([dict(message.headers or {}), message.data.decode()]))
        asyncio.run(main())
        """#

    private static let readBinary = #"""
        import json, os
        from cloudevents.core.bindings.http import HTTPMessage, from_http_event
        headers, body = json.loads(os.environ["MESSAGE"])
        headers["content-type"] = headers.pop("ce-datacontenttype")
        event = from_http_event(HTTPMessage(headers, body.encode()))
        print(json.dumps([event.get_id(), event.get_source(), event.get_type(), event.get_specversion(), event.get_data()]))
        """#

    /// What `text` says as JSON, in one line.
    private func value(_ text: String) throws -> [EventData.Field] {
        let wrapped = try EventData(json: #"{"lines":["# + text.split(separator: "\n").joined(separator: ",") + "]}")
        return wrapped["lines"]?.array ?? []
    }

    @Test func anotherImplementationReadsWhatListExportAndWatchPrint() async throws {
        let directory = try TemporaryDirectory()
        try await withServer { server in
            let create = try await Command.run(["emit", "user.first", "--node", "a", "--ack", "--nats", server.url])
            #expect(create.code == 0, "\(create.error)")
            let watch = try Command(["watch", "--limit", "2", "--format", "cloudevents", "--nats", server.url])
            try await watch.waitForError("watching")
            for arguments in [
                ["tool.crashed", "tool=whisper", "restart_count=2", "--node", "pi zero", "--cloudevents"],
                ["user.é", "text=Grüße", "--node", "ü/\n"],
            ] {
                #expect(try await Command.run(["emit", "--nats", server.url] + arguments).code == 0)
            }
            let watched = try await watch.wait()
            #expect(watched.code == 0, "\(watched.error)")
            let list = try await Command.run(["list", "--format", "cloudevents", "--nats", server.url])
            let export = try await Command.run(["export", "--format", "cloudevents", "--nats", server.url])
            #expect(list.code == 0 && list.lines.count == 3, "\(list.error)")
            #expect(export.output == list.output)
            let file = try directory.file("events", list.output + watched.output)
            let read = try await Python.run(Self.structured, environment: ["FILE": file], Python.contracts)
            let found = try value(read)
            try #require(found.count == 5, "\(read)")
            let crashed = try #require(found[1].array)
            #expect(crashed[1].string == "/mesh/nodes/pi%20zero" && crashed[2].string == "tool.crashed")
            #expect(crashed[3].string == "whisper" && crashed[5].string == "application/json")
            #expect(crashed[6].data == ["tool": "whisper", "restart_count": 2])
            #expect(crashed[7].string == "00000000000000000002")
            #expect(found[2][1]?.string == "/mesh/nodes/%C3%BC%2F%0A" && found[2][6]?.data == ["text": "Grüße"])
            // Live and stored it is the same event, when its emitter named it.
            #expect(found[3][0]?.string == crashed[0].string)
            #expect(Set(found.prefix(3).compactMap { $0[0]?.string }).count == 3)
        }
    }

    @Test(arguments: NATSServers.all, [[], ["--ack"]])
    func anotherImplementationReadsBinaryMode(binary: NATSServers.Binary, extra: [String]) async throws {
        try await withServer(binary) { server in
            // The stream first, so that only the event is seen.
            if !extra.isEmpty { _ = try await Command.run(["emit", "tool.first", "--ack", "--nats", server.url]) }
            let python = try Python.start(Self.binary, url: server.url)
            try await python.waitForOutput("ready")
            let emit = try await Command.run(
                ["emit", "user.é", "n=1.50", "--node", "pi zero", "--json", "--cloudevents", "--nats", server.url]
                    + extra
            )
            #expect(emit.code == 0, "\(emit.error)")
            let message = try await python.wait().replacing("ready\n", with: "")
            #expect(try value(message)[0][1]?.string == emit.output.trimmingCharacters(in: .newlines))
            let read = try await Python.run(Self.readBinary, environment: ["MESSAGE": message], Python.contracts)
            let event = try #require(try value(read).first)
            #expect(event[0]?.string?.isEmpty == false && event[3]?.string == "1.0")
            #expect(event[1]?.string == "/mesh/nodes/pi%20zero" && event[2]?.string == "user.é")
            #expect(event[4]?.data == (try EventData(json: emit.output)))
        }
    }

    @Test func whatIsExportedAndImportedHasTheSameIds() async throws {
        let directory = try TemporaryDirectory()
        let file = directory.path + "/events"
        try await withServer { server in
            for number in 0..<3 {
                let extra = number == 1 ? ["--cloudevents"] : []
                let emit = try await Command.run(
                    ["emit", "tool.started", "tool=t\(number)", "--node", "n", "--ack", "--nats", server.url] + extra
                )
                #expect(emit.code == 0, "\(emit.error)")
            }
            let export = try await Command.run(
                ["export", "--format", "cloudevents", "--out", file, "--nats", server.url]
            )
            #expect(export.code == 0, "\(export.error)")
            try await withServer { other in
                for _ in 0..<2 {
                    // The second time the message ids tell that the stream has them.
                    let run = try await Command.run(["import", "--format", "cloudevents", file, "--nats", other.url])
                    #expect(run.code == 0, "\(run.error)")
                }
                let again = try await Command.run(["list", "--format", "cloudevents", "--nats", other.url])
                func withoutPlace(_ line: String) -> String {
                    line.replacing(#/"sequence":"\d+","stored":"[^"]+",/#, with: "")
                }
                let written = try directory.text(of: "events").split(separator: "\n").map(String.init)
                #expect(written.count == 3)
                #expect(again.lines.map(withoutPlace) == written.map(withoutPlace))
                let events = try await Command.run(["list", "--json", "--nats", server.url])
                let imported = try await Command.run(["list", "--json", "--nats", other.url])
                func event(_ line: String) -> String { line.replacing(#/,"sequence":.*/#, with: "") }
                #expect(imported.lines.map(event) == events.lines.map(event))
            }
        }
    }

    @Test func whatOthersWroteIsEmittedAndImported() async throws {
        let lines = """
            {"specversion":"1.0","id":"1","source":"https://example.com/shop","type":"user.sold","time":"2026-01-01T00:00:00Z","data":{"n":1}}
            {"specversion":"1.0","id":"2","source":"https://example.com/shop","type":"user.sold","time":"2026-01-01T00:00:00Z","data":{"n":2}}

            """
        try await withServer { server in
            for arguments in [["emit", "--from", "-"], ["import", "-"]] {
                let run = try await Command.run(
                    arguments + ["--format", "cloudevents", "--nats", server.url],
                    input: lines
                )
                #expect(run.code == 0, "\(run.error)")
            }
            let list = try await Command.run(["list", "--format", "cloudevents", "--nats", server.url])
            let found = try value(list.output)
            try #require(found.count == 4)
            #expect(found.map { $0["data"]?["n"]?.int } == [1, 2, 1, 2])
            #expect(found[0]["source"]?.string == "/mesh/nodes/https%3A%2F%2Fexample.com%2Fshop")
            #expect(found[2]["source"]?.string == "https://example.com/shop" && found[2]["id"]?.string == "1")
            #expect(
                found[2]["time"]?.string == "2026-01-01T00:00:00Z"
                    && found[0]["time"]?.string != found[2]["time"]?.string
            )
        }
    }

    @Test func badLinesAndOptionsAreSaid() async throws {
        try await withServer { server in
            let good = #"{"specversion":"1.0","id":"1","source":"s","type":"user.x","time":"2026-01-01T00:00:00Z"}"#
            for (bad, problem) in [
                (#"{"type":"user.x"}"#, "line 2: it has no \"specversion\""),
                (#"[{"specversion":"1.0"}]"#, "line 2: it is a batch"),
                (#"{"specversion":"1.0","id":"2","source":"s","type":"user.x","data":"x"}"#, "line 2: its \"data\""),
            ] {
                let run = try await Command.run(
                    ["emit", "--from", "-", "--format", "cloudevents", "--nats", server.url],
                    input: good + "\n" + bad + "\n"
                )
                #expect(run.code == 65 && run.error.contains(problem), "\(run.error)")
                expectOneLine(run)
            }
            let timeless = try await Command.run(
                ["import", "-", "--format", "cloudevents", "--nats", server.url],
                input: #"{"specversion":"1.0","id":"1","source":"s","type":"user.x"}"#
            )
            #expect(timeless.code == 65 && timeless.error.contains("line 1: it has no \"time\""), "\(timeless.error)")
        }
        for arguments in [
            ["list", "--json", "--format", "cloudevents"], ["watch", "--format", "xml"],
            ["emit", "user.x", "--format", "json"], ["export", "--format", "text"],
        ] {
            let run = try await Command.run(arguments)
            #expect(run.code == 64, "\(arguments)")
            expectOneLine(run)
        }
    }
}
