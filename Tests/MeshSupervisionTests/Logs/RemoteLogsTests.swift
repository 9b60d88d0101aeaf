import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import NIOCore
import TestSupport
import Testing

@testable import MeshSupervision

/// Logs over the mesh, on real servers.
@Suite("Logs over the mesh", .timeLimit(.minutes(5)))
struct RemoteLogsTests {
    private func withBench(
        _ binary: NATSServers.Binary = NATSServers.first,
        timing: LogServer.Timing? = nil,
        _ body: @escaping @Sendable (LogBench, LocalNATSServer) async throws -> Void
    ) async throws {
        try await withServer(binary) { server in
            let bench = try await LogBench(server, timing: timing)
            try await bench.serving {
                // Until it listens.
                _ = try await bench.read()
                try await eventually("no reader to be left") { bench.server.readers == 0 }
                try await body(bench, server)
            }
            await bench.close()
        }
    }

    @Test("what was written is read: the last lines, those of a stream, with a text", arguments: NATSServers.all)
    func reading(binary: NATSServers.Binary) async throws {
        try await withBench(binary) { bench, _ in
            bench.write((1...3_000).map { "line \($0)" })
            bench.write(["an \u{1B}[31merror\u{7}", "ü🚀"], .stderr)
            bench.logs.append("the node's own line")
            #expect(try await bench.lines(LogQuery(lines: 3)) == ["line 3000", "an \u{1B}[31merror\u{7}", "ü🚀"])
            #expect(try await bench.lines().count == 200)
            let all = try await bench.read(LogQuery(lines: nil)).records
            #expect(all.map(\.number) == Array(1...3_002))
            #expect(all[0].stream == .stdout && all[3_001].stream == .stderr)
            #expect(all == bench.logs.records(ofTool: "whisper", matching: LogQuery(lines: nil)))
            #expect(try await bench.lines(LogQuery(streams: [.stderr])).count == 2)
            #expect(try await bench.lines(LogQuery(lines: 2, text: "line 29")) == ["line 2998", "line 2999"])
            #expect(try await bench.lines(LogQuery(lines: nil, within: .seconds(600))).count == 3_002)
            #expect(try await bench.lines(LogQuery(text: "nothing")).isEmpty)
            #expect(try await bench.lines(tool: nil) == ["the node's own line"])
            try await eventually("no reader to be left") { bench.server.readers == 0 }
        }
    }

    @Test(
        "who follows gets what comes, also of a log that does not exist yet, and is forgotten when it ends",
        arguments: NATSServers.all
    )
    func following(binary: NATSServers.Binary) async throws {
        try await withBench(binary) { bench, _ in
            let (one, other) = (CollectedLog(), CollectedLog())
            let reading = Task { try await one.follow(bench.reader(follows: true)) }
            let errors = Task { try await other.follow(bench.reader(LogQuery(streams: [.stderr]), follows: true)) }
            try await eventually("two readers") { bench.server.readers == 2 }
            for number in 0..<50 {
                bench.write(["out \(number)"])
                bench.write(["err \(number)"], .stderr)
            }
            try await eventually("all lines; there are \(one.lines.count)") { one.lines.count == 100 }
            try await eventually("the other's") { other.lines.count == 50 }
            #expect(other.lines == (0..<50).map { "err \($0)" })
            #expect(one.all.records.map(\.number) == Array(1...100))
            reading.cancel()
            errors.cancel()
            _ = await (reading.result, errors.result)
            try await eventually("the readers to be forgotten") { bench.server.readers == 0 }
        }
    }

    @Test("a tool is removed and installed again: who follows its log goes on") func removed() async throws {
        try await withBench { bench, _ in
            let log = CollectedLog()
            let reading = Task { try await log.follow(bench.reader(follows: true)) }
            try await eventually("a reader") { bench.server.readers == 1 }
            bench.write(["before"])
            try await eventually("the first line") { log.lines == ["before"] }
            try await bench.supervisor.remove("whisper")
            try await bench.supervisor.install(ToolSpecification(name: "whisper", version: "1", command: ["true"]))
            bench.write(["after"])
            try await eventually("the second line") { log.lines == ["before", "after"] }
            #expect(log.all.records.map(\.number) == [1, 2] && log.all.missed == 0)
            reading.cancel()
            _ = await reading.result
        }
    }

    @Test("the server restarts: who follows gets each line once", arguments: NATSServers.all)
    func serverRestart(binary: NATSServers.Binary) async throws {
        try await withBench(binary) { bench, server in
            let log = CollectedLog()
            let reading = Task { try await log.follow(bench.reader(follows: true)) }
            try await eventually("a reader") { bench.server.readers == 1 }
            bench.write((0..<100).map { "before \($0)" })
            try await eventually("the first lines") { log.lines.count == 100 }
            await server.kill()
            bench.write((0..<100).map { "meanwhile \($0)" })
            try await server.restart()
            bench.write((0..<100).map { "after \($0)" })
            try await eventually("all lines; there are \(log.lines.count)") { log.lines.count >= 300 }
            #expect(log.all.records.map(\.number) == Array(1...300) && log.all.missed == 0)
            reading.cancel()
            _ = await reading.result
        }
    }

    @Test("the node restarts: who follows waits for it, and goes on where it was", arguments: NATSServers.all)
    func nodeRestart(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let home = try TemporaryDirectory()
            let log = CollectedLog()
            let reader = try await connect(server)
            var timing = RemoteLogTiming()
            (timing.silence, timing.pause) = (.seconds(2), .milliseconds(100))
            let logs = RemoteLogs(LogBench.node, "whisper", reader, LogQuery(), true, timing)
            var reading: Task<Void, any Error>?
            for run in 1...2 {
                let bench = try await LogBench(server, in: home)
                let started = reading
                reading = try await bench.serving {
                    if started == nil { _ = try await bench.read() }
                    let reading = started ?? Task { try await log.follow(logs) }
                    bench.write((0..<100).map { "run \(run) line \($0)" })
                    try await eventually("the lines of run \(run); there are \(log.lines.count)") {
                        log.lines.count == 100 * run
                    }
                    return reading
                }
                await bench.close()
                if run == 1 {
                    try await eventually("word that the node is away") {
                        log.all.contains { if case .away = $0 { true } else { false } }
                    }
                }
            }
            #expect(log.all.records.map(\.number) == Array(1...200) && log.all.contains(.back))
            reading?.cancel()
            _ = await reading?.result
            await reader.close()
        }
    }

    @Test("a slow reader learns how many lines it has missed, and slows neither the writer nor another reader")
    func slow() async throws {
        try await withBench { bench, _ in
            bench.ring.change(LogBench.small)
            var slow = bench.reader(follows: true).makeAsyncIterator()
            bench.write(["first"])
            guard case .record = try await slow.next() else {
                Issue.record("no first line")
                return
            }
            let fast = CollectedLog()
            let reading = Task { try await fast.follow(bench.reader(follows: true)) }
            try await eventually("two readers") { bench.server.readers == 2 }
            let total = 20_000
            for number in 0..<total {
                bench.write(["line \(number)"])
                // The fast reader keeps up.
                if number % 200 == 0 {
                    try await eventually("the fast reader; it has \(fast.lines.count)") {
                        fast.lines.count >= number - 200
                    }
                }
            }
            try await eventually("all lines; there are \(fast.lines.count)") { fast.lines.last == "line \(total - 1)" }
            #expect(fast.all.missed == 0)
            var pieces: [RemoteLogs.Element] = []
            while pieces.lines.last != "line \(total - 1)" {
                guard let piece = try await slow.next() else { break }
                pieces.append(piece)
            }
            #expect(pieces.missed > 0 && pieces.records.count < total)
            #expect(Int(pieces.missed) + pieces.records.count == total, "\(pieces.missed), \(pieces.records.count)")
            reading.cancel()
            _ = await reading.result
        }
    }

    @Test("the files are gone while somebody follows: the log begins anew or goes on, with a word")
    func deleted() async throws {
        try await withBench { bench, _ in
            let log = CollectedLog()
            let reading = Task { try await log.follow(bench.reader(follows: true)) }
            try await eventually("a reader") { bench.server.readers == 1 }
            bench.write(["before"])
            try await eventually("a line") { log.lines == ["before"] }
            try FileManager.default.removeItem(atPath: bench.home.path + "/logs")
            try await eventually("lines again") {
                bench.write(["after"])
                return log.lines.contains("after")
            }
            reading.cancel()
            _ = await reading.result
        }
    }

    @Test("secrets are removed before a line is sent, and cannot be searched for")
    func secrets() async throws {
        try await withBench { bench, _ in
            bench.write(["login with the words of the tool", "url https://me:pw77@host/", "plain"])
            bench.logs.append("the-nodes-own-secret was set")
            let expected = ["login with [redacted]", "url https://[redacted]@host/", "plain"]
            let all = try await bench.lines()
            #expect(all == expected)
            #expect(try await bench.lines(LogQuery(text: "the words")).isEmpty)
            #expect(try await bench.lines(LogQuery(text: "pw7")).isEmpty)
            #expect(try await bench.lines(tool: nil) == ["[redacted] was set"])
            // They are in the files, which only their owner can read.
            #expect(bench.logs.records(ofTool: "whisper")[0].line == "login with the words of the tool")
        }
    }

    @Test("who follows sees no secret that a changed specification brings, and none of the one before")
    func newSecrets() async throws {
        try await withBench { bench, _ in
            let (tool, node) = (CollectedLog(), CollectedLog())
            let readings = [
                Task { try await tool.follow(bench.reader(follows: true)) },
                Task { try await node.follow(bench.reader(tool: nil, follows: true)) },
            ]
            bench.write(["the words of the tool"])
            bench.logs.append("the node's line")
            try await eventually("lines") { tool.lines.count == 1 && node.lines.count == 1 }
            #expect(tool.lines == ["[redacted]"])
            for number in 1...LogSecrets.maximumChanges + 2 {
                let secret = "other words, number-\(number)"
                var changed = try #require(bench.supervisor.specification(of: "whisper"))
                changed.environment = ["API_TOKEN": secret]
                try await bench.supervisor.update(changed)
                bench.write(["now \(secret)", number == 1 ? "before: the words of the tool" : "-"])
                bench.logs.append("it says \(secret)")
                try await eventually("lines of change \(number)") {
                    tool.lines.count == 1 + 2 * number && node.lines.count == 1 + number
                }
                #expect(tool.lines.suffix(2) == ["now [redacted]", number == 1 ? "before: [redacted]" : "-"])
                #expect(node.lines.last == "it says [redacted]")
            }
            for reading in readings {
                reading.cancel()
                _ = await reading.result
            }
        }
    }

    @Test("clear errors: no such node, no such tool, a tool whose output is not kept", arguments: NATSServers.all)
    func errors(binary: NATSServers.Binary) async throws {
        try await withBench(binary) { bench, _ in
            func error(_ logs: RemoteLogs) async -> MeshEventsError? {
                await thrownError { () async throws(MeshEventsError) in for try await _ in logs {} }
            }
            for follows in [false, true] {
                let nowhere = await error(bench.reader(follows: follows, node: "other"))
                #expect(nowhere?.code == .noResponders && nowhere?.message.contains("it does not run") == true)
                let unknown = await error(bench.reader(tool: "zap", follows: follows))
                #expect(unknown?.code == .serverRefused && unknown?.message.contains("has no tool \"zap\"") == true)
                let outside = await error(bench.reader(tool: "../node", follows: follows))
                #expect(outside?.code == .serverRefused)
                let silent = await error(bench.reader(tool: "silent", follows: follows))
                #expect(silent?.message.contains("logs: false") == true, "\(String(describing: silent))")
            }
            #expect(bench.server.readers == 0)
        }
    }

    // MARK: Readers that do what they should not

    private func ask(
        _ bench: LogBench,
        _ request: some Encodable & Sendable
    ) async throws -> (NATSSubscription, LogChunk?) {
        let inbox = bench.connection.makeInbox(below: ControlSubject.answers)
        let answers = try await bench.connection.subscribe(to: inbox)
        let subject = ControlSubject.logs(of: LogBench.node)
        try bench.connection.publish(LogMessage.encode(request), to: subject, replyTo: inbox)
        let first = try await withDeadline(.seconds(60), "an answer") {
            var iterator = answers.makeAsyncIterator()
            return try await iterator.next()
        }
        return (answers, first.flatMap { LogMessage.decode($0.payload, as: LogChunk.self) })
    }

    @Test("a request that makes no sense gets an error, and so does a reader too many")
    func refused() async throws {
        try await withBench { bench, _ in
            bench.write(["a line"])
            var wrong = [LogRequest(tool: "whisper", lines: -1), LogRequest(tool: "whisper", lines: 1 << 40)]
            wrong.append(LogRequest(tool: "whisper", withinSeconds: -1))
            wrong.append(LogRequest(tool: "whisper", text: String(repeating: "x", count: 2_000)))
            wrong.append(LogRequest(tool: "whisper", streams: ["stdin"]))
            wrong.append(LogRequest(tool: "whisper", streams: []))
            for request in wrong {
                let (_, answer) = try await ask(bench, request)
                #expect(answer?.error?.code == "invalidRequest", "\(request)")
            }
            #expect(try await ask(bench, ["just", "a list"]).1?.error?.code == "invalidRequest")
            var held: [NATSSubscription] = []
            for number in 0..<LogServer.maximumReaders {
                held.append(try await ask(bench, LogRequest(tool: "whisper", reader: "r\(number)", follow: true)).0)
            }
            #expect(try await ask(bench, LogRequest(tool: "whisper", follow: true)).1?.error?.code == "busy")
            // The same reader again takes its own place.
            let again = try await ask(bench, LogRequest(tool: "whisper", reader: "r0", follow: true))
            #expect(again.1?.error == nil && again.1?.chunk == 1)
            let impossible = LogRequest.Position(epoch: "other", next: .max)
            let refusal = try await ask(bench, LogRequest(tool: "whisper", reader: "r1", after: impossible)).1?.error
            #expect(refusal?.code == "invalidRequest")
            // The log has no such place.
            let beyond = LogRequest.Position(epoch: "other", next: LogMessage.maximumNumber)
            #expect(try await ask(bench, LogRequest(tool: "whisper", reader: "r1", after: beyond)).1?.error == nil)
            for subscription in held { subscription.cancel() }
        }
    }

    @Test("who acknowledges nothing gets a few chunks, and is forgotten")
    func silentReader() async throws {
        var timing = LogServer.Timing()
        (timing.patience, timing.heartbeat) = (.seconds(2), .milliseconds(100))
        try await withBench(timing: timing) { bench, _ in
            bench.write((0..<50_000).map { "line \($0) " + String(repeating: "x", count: 40) })
            let inbox = bench.connection.makeInbox(below: ControlSubject.answers)
            let answers = try await bench.connection.subscribe(to: inbox)
            let request = LogMessage.encode(LogRequest(tool: "whisper", follow: true))
            try bench.connection.publish(request, to: ControlSubject.logs(of: LogBench.node), replyTo: inbox)
            try await eventually("the reader") { bench.server.readers == 1 }
            try await eventually("the reader to be forgotten") { bench.server.readers == 0 }
            try await bench.connection.flush()
            answers.cancel()
            var (chunks, bytes): ([UInt64], Int) = ([], 0)
            for try await message in answers {
                bytes += message.payload.readableBytes
                chunks.append(LogMessage.decode(message.payload, as: LogChunk.self)?.chunk ?? 0)
            }
            #expect((1...4).contains(chunks.count) && chunks == Array(1...UInt64(chunks.count)), "\(chunks)")
            #expect(bytes < 16_000)
        }
    }

    @Test("another with the subject of a reader's chunks can neither stop it nor have the node answer there")
    func disturbed() async throws {
        try await withBench { bench, _ in
            bench.write(["a line"])
            let connection = bench.connection
            let chunks = try await connection.subscribe(to: "\(ControlSubject.answers).*")
            let log = CollectedLog()
            let reading = Task { try await log.follow(bench.reader(follows: true)) }
            let seen = try await withDeadline(.seconds(60), "a chunk") {
                var iterator = chunks.makeAsyncIterator()
                return try await iterator.next()
            }
            let chunk = try #require(seen)
            let (inbox, receipts) = (chunk.subject, try #require(chunk.replyTo))
            let session = try #require(LogMessage.decode(chunk.payload, as: LogChunk.self)?.session)
            // In the node, in another one, and in neither.
            let forged = LogRequest(tool: "zap", session: session)
            try connection.publish(
                LogMessage.encode(forged),
                to: ControlSubject.logs(of: LogBench.node),
                replyTo: inbox
            )
            for answer in [
                LogChunk(error: LogFailure(code: .busy, message: "no"), session: session, node: "other"),
                LogChunk(error: LogFailure(code: .busy, message: "no"), session: "x", node: LogBench.node),
                LogChunk(error: LogFailure(code: .busy, message: "no")),
            ] {
                try connection.publish(LogMessage.encode(answer), to: inbox)
            }
            try connection.publish(ByteBuffer(string: "no JSON"), to: inbox)
            try connection.publish(LogMessage.encode(LogReceipt(stop: true)), to: receipts)
            try connection.publish(LogMessage.encode(LogReceipt(stop: true, reader: "x")), to: receipts)
            try await connection.flush()
            #expect(try await ask(bench, LogRequest(tool: "zap")).1?.error?.code == "notInstalled")
            #expect(bench.server.readers == 1)
            bench.write(["another line"])
            try await eventually("both lines") { log.lines == ["a line", "another line"] }
            #expect(log.all.count == 2, "\(log.all)")
            reading.cancel()
            _ = await reading.result
            chunks.cancel()
        }
    }

    @Test("no request makes a node publish under an event's subject")
    func elsewhere() async throws {
        try await withBench { bench, _ in
            bench.write(["a line"])
            let events = try await bench.connection.subscribe(to: "events.>")
            let request = LogMessage.encode(LogRequest(tool: "whisper", follow: true))
            for reply in ["events.tool.crashed", "mesh.control.tool.x", "other"] {
                try bench.connection.publish(request, to: ControlSubject.logs(of: LogBench.node), replyTo: reply)
            }
            // Served after those.
            #expect(try await bench.lines() == ["a line"])
            #expect(bench.server.readers == 0)
            events.cancel()
            for try await event in events { Issue.record("\(event.subject)") }
        }
    }

    @Test("nor does a request about a tool")
    func toolsElsewhere() async throws {
        try await withBench { bench, _ in
            let (node, tools) = (LogBench.node, RemoteTools(node: LogBench.node, connection: bench.connection))
            let control = ToolControl(
                supervisor: bench.supervisor,
                node: node,
                connection: bench.nodeConnection,
                logger: quiet
            )
            let running = Task { try await control.run() }
            try await eventually("the node to take requests") {
                await thrownError { () async throws(MeshEventsError) in try await tools.perform(.start, on: "zap") }?
                    .code
                    == .serverRefused
            }
            let events = try await bench.connection.subscribe(to: "events.>")
            let request = LogMessage.encode(["action": "stop", "tool": "whisper"])
            try bench.connection.publish(request, to: ControlSubject.tools(of: node), replyTo: "events.tool.crashed")
            // Served after that.
            #expect(try await tools.perform(.stop, on: "whisper") == "installed")
            events.cancel()
            for try await event in events { Issue.record("\(event.subject)") }
            running.cancel()
            _ = await running.result
        }
    }
}
