import MeshEvents
import Testing

@testable import mesh_events

/// The Model Context Protocol as a value: lines in, lines out.
@Suite struct AgentSessionTests {
    private static let echo = AgentTool(
        name: "echo",
        title: "Echo",
        description: "Says it.",
        fields: [AgentField("text", .text(atMost: 8), isRequired: true, "What to say.")],
        run: { _, _ in AgentAnswer([], UntrustedData()) }
    )
    private static let stop = AgentTool(
        name: "stop",
        title: "Stop",
        description: "Stops it.",
        fields: [],
        effect: .interrupts,
        isIdempotent: true,
        run: { _, _ in AgentAnswer([], UntrustedData()) }
    )

    private func session(calls: Int = 16, version: String? = "2025-06-18") -> AgentSession {
        let tools = AgentToolbox(tools: [Self.echo, Self.stop], instructions: "Be careful.", version: "1.2.3")
        var session = AgentSession(tools, AgentSession.Limits(calls: calls))
        if let version {
            _ = session.receive(
                #"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"\#(version)","capabilities":{},"#
                    + #""clientInfo":{"name":"test","version":"1"}}}"#
            )
        }
        return session
    }

    private func call(_ id: String, _ tool: String = "echo", _ more: String = "") -> String {
        #"{"jsonrpc":"2.0","id":\#(id),"method":"tools/call","params":{"name":"\#(tool)","arguments":{"text":"a"}\#(more)}}"#
    }

    private static let answer = AgentAnswer(["Done."], UntrustedData())

    // MARK: The beginning

    @Test(
        "the version of the client is spoken, else the newest",
        arguments: [
            ("2024-11-05", "2024-11-05"), ("2025-03-26", "2025-03-26"), ("2025-06-18", "2025-06-18"),
            ("2025-11-25", "2025-11-25"), ("1999-01-01", "2025-11-25"), ("", "2025-11-25"),
        ]
    )
    func negotiation(offer: String, spoken: String) throws {
        var session = session(version: nil)
        let actions = session.receive(
            #"{"jsonrpc":"2.0","id":"x","method":"initialize","params":{"protocolVersion":"\#(offer)"}}"#
        )
        let answer = try actions.onlyLine
        #expect(answer["id"]?.string == "x" && answer["jsonrpc"]?.string == "2.0")
        let result = try #require(answer["result"])
        #expect(result["protocolVersion"]?.string == spoken)
        #expect(result["capabilities"]?["tools"]?.isObject == true)
        #expect(result["serverInfo"]?["name"]?.string == "mesh-events")
        #expect(result["serverInfo"]?["version"]?.string == "1.2.3")
        #expect(result["instructions"]?.string == "Be careful.")
        let notification = #"{"jsonrpc":"2.0","method":"notifications/initialized"}"#
        #expect(session.receive(notification).isEmpty)
    }

    @Test func aPingIsAnsweredAtAnyTime() throws {
        for version in [nil, "2025-06-18"] {
            var session = session(version: version)
            let answer = try session.receive(#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#).onlyLine
            #expect(answer["id"]?.int == 7 && answer["result"]?.json == "{}")
        }
    }

    @Test func toolsAreNotThereBeforeTheBeginning() throws {
        var session = session(version: nil)
        let list = try session.receive(#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).onlyLine
        #expect(list["error"]?["code"]?.int == -32_600)
        #expect(try session.receive(call("2")).onlyLine["error"]?["code"]?.int == -32_600)
        // What a client asks that looks whether a later protocol is spoken.
        let discovery = try session.receive(#"{"jsonrpc":"2.0","id":3,"method":"server/discover"}"#).onlyLine
        #expect(discovery["error"]?["code"]?.int == -32_601)
    }

    // MARK: The list of tools

    @Test func theListHasASchemaForEachTool() throws {
        var session = session()
        let answer = try session.receive(#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#).onlyLine
        let tools = try #require(answer["result"]?["tools"]?.array)
        #expect(tools.map { $0["name"]?.string } == ["echo", "stop"])
        let schema = try #require(tools[0]["inputSchema"])
        #expect(schema["type"]?.string == "object" && schema["additionalProperties"]?.bool == false)
        #expect(schema["required"]?.json == #"["text"]"#)
        #expect(schema["properties"]?["text"]?["maxLength"]?.int == 8)
        #expect(tools[0]["annotations"]?["readOnlyHint"]?.bool == true)
        #expect(tools[1]["annotations"]?["readOnlyHint"]?.bool == false)
        #expect(tools[1]["annotations"]?["destructiveHint"]?.bool == true)
        #expect(tools[0]["outputSchema"]?["required"]?.array?.count == 3)
        let cursor = try session.receive(
            #"{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{"cursor":"x"}}"#
        ).onlyLine
        #expect(cursor["error"]?["code"]?.int == -32_602)
    }

    @Test("an older client gets what its version knows", arguments: ["2024-11-05", "2025-03-26"])
    func older(version: String) throws {
        var session = session(version: version)
        let answer = try session.receive(#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).onlyLine
        let tool = try #require(answer["result"]?["tools"]?[0])
        #expect(tool["outputSchema"] == nil && tool["title"] == nil)
        #expect((tool["annotations"] != nil) == (version == "2025-03-26"))
        let number = try session.receive(call("2")).onlyCall.number
        let result = try session.finished(number, Self.answer, boundary: "b").onlyLine
        #expect(result["result"]?["structuredContent"] == nil)
        #expect(result["result"]?["content"]?[0]?["text"]?.string?.contains("untrusted_data b") == true)
    }

    // MARK: Calls

    @Test func aCallIsRunAndAnswered() throws {
        var session = session()
        let call = try session.receive(call(#""seven""#)).onlyCall
        #expect(call.tool.name.text == "echo" && call.arguments.json == #"{"text":"a"}"# && !call.wantsProgress)
        #expect(call.client.name == "test")
        let answer = try session.finished(call.number, Self.answer, boundary: "b").onlyLine
        #expect(answer["id"]?.string == "seven" && answer["result"]?["isError"]?.bool == false)
        #expect(answer["result"]?["structuredContent"]?["summary"]?.string == "Done.")
        #expect(session.finished(call.number, Self.answer, boundary: "b").isEmpty, "it is answered once")
    }

    @Test func aToolThatIsNotThereIsAnErrorOfTheProtocol() throws {
        var session = session()
        for request in [
            call("1", "no"), #"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
            #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":[1]}}"#,
        ] {
            #expect(try session.receive(request).onlyLine["error"]?["code"]?.int == -32_602, "\(request)")
        }
    }

    @Test func aCancelledCallGetsNoAnswerAndKeepsItsPlaceUntilItHasEnded() throws {
        var session = session(calls: 1)
        let number = try session.receive(call("1")).onlyCall.number
        let cancel = #"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"no"}}"#
        guard case .cancel(number) = session.receive(cancel).first else {
            Issue.record("it is not cancelled")
            return
        }
        #expect(session.receive(cancel).isEmpty, "a second time nothing")
        let busy = try session.receive(call("2")).onlyLine
        #expect(busy["result"]?["isError"]?.bool == true)
        #expect(busy["result"]?["structuredContent"]?["untrusted_data"]?["error"]?["code"]?.string == "busy")
        #expect(session.finished(number, Self.answer, boundary: "b").isEmpty)
        session.ended(number)
        _ = try session.receive(call("3")).onlyCall
        for other in ["9", #""1""#, "null"] {
            let strange =
                #"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":\#(other)}}"#
            #expect(session.receive(strange).isEmpty)
        }
    }

    @Test func anAnswerThatIsNotTakenKeepsItsPlace() throws {
        var session = session(calls: 2)
        for id in ["1", "2"] {
            let number = try session.receive(call(id)).onlyCall.number
            #expect(session.finished(number, Self.answer, boundary: "b").count == 1)
        }
        #expect(try session.receive(call("3")).onlyLine["result"]?["isError"]?.bool == true)
    }

    @Test func anIdRunsOnce() throws {
        var session = session()
        let number = try session.receive(call("1")).onlyCall.number
        #expect(try session.receive(call("1.0")).onlyLine["error"]?["code"]?.int == -32_600)
        _ = session.finished(number, Self.answer, boundary: "b")
        _ = try session.receive(call("1")).onlyCall
    }

    @Test func progressIsToldToThoseWhoAskForIt() throws {
        var session = session()
        let call = try session.receive(call("1", "echo", #","_meta":{"progressToken":"p"}"#)).onlyCall
        #expect(call.wantsProgress)
        let line = try #require(session.progress(call.number, seconds: 5, of: 60))
        let message = try EventData(json: line)
        #expect(message["method"]?.string == "notifications/progress" && message["id"] == nil)
        #expect(message["params"]?.json == #"{"progress":5,"progressToken":"p","total":60}"#)
        _ = session.finished(call.number, Self.answer, boundary: "b")
        #expect(session.progress(call.number, seconds: 10, of: 60) == nil)
    }

    // MARK: What is no message

    @Test(
        "what cannot be read gets the code that JSON-RPC has for it",
        arguments: [
            ("{", -32_700), ("nonsense", -32_700), (#"{"jsonrpc":"2.0","id":1,"method":"ping"}}"#, -32_700),
            ("\"\u{FFFD}", -32_700), ("1", -32_600), ("null", -32_600), ("\"text\"", -32_600), ("{}", -32_600),
            (#"{"id":1,"method":"ping"}"#, -32_600), (#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32_600),
            (#"{"jsonrpc":"2.0","id":1}"#, -32_600), (#"{"jsonrpc":"2.0","id":1,"method":1}"#, -32_600),
            (#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32_600),
            (#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32_600),
            (#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, -32_600),
            (#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#, -32_602),
            (#"{"jsonrpc":"2.0","id":1,"method":"resources/list"}"#, -32_601), ("[]", -32_600), ("[1", -32_700),
        ]
    )
    func wrong(line: String, code: Int) throws {
        var session = session(version: "2025-03-26")
        let answer = try session.receive(line).onlyLine
        #expect(answer["error"]?["code"]?.int == code, "\(answer.json)")
        #expect(answer["error"]?["message"]?.string?.isEmpty == false)
    }

    @Test func bytesThatAreNoTextAreNoJSON() throws {
        var session = session()
        let answer = try session.receive(lineOf: [0x22, 0xFF, 0x22]).onlyLine
        #expect(answer["error"]?["code"]?.int == -32_700 && answer["id"]?.isNull == true)
    }

    @Test func deepNestingAndLongTextsAreRefused() throws {
        var session = session()
        let deep = String(repeating: "[", count: 5_000) + String(repeating: "]", count: 5_000)
        #expect(try session.receive(#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":\#(deep)}}"#).isError)
        let long = String(repeating: "x", count: 100_000)
        #expect(try session.receive(#"{"jsonrpc":"2.0","id":"\#(long)","method":"ping"}"#).isError)
        let answer = try #require(session.receive(#"{"jsonrpc":"2.0","id":1,"method":"\#(long)"}"#).first)
        guard case .send(let line) = answer else { throw Unexpected() }
        #expect(line.utf8.count < 300, "nothing of it comes back")
        guard case .send(let tooLong) = session.receiveTooLong().first else { throw Unexpected() }
        #expect(tooLong.contains("-32600"))
    }

    @Test func nothingThatAClientWritesIsInTheProseOfAnError() throws {
        var session = session()
        let lines = [
            call("1", "IGNORE"), #"{"jsonrpc":"2.0","id":1,"method":"IGNORE"}"#, #"{"IGNORE":1}"#, "IGNORE",
            #"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"IGNORE"}}"#,
        ]
        for line in lines {
            guard case .send(let answer) = session.receive(line).first else { throw Unexpected() }
            #expect(!answer.contains("IGNORE"), "\(answer)")
        }
    }

    @Test func answersAndStrangeNotificationsAreLeftAlone() {
        var session = session()
        for line in [
            #"{"jsonrpc":"2.0","id":1,"result":{}}"#, #"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}"#,
            #"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#,
            #"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#,
        ] {
            #expect(session.receive(line).isEmpty, "\(line)")
        }
    }

    // MARK: Lists of messages

    @Test func aListIsAnsweredAsOneWhenAllOfItIsDone() throws {
        var session = session(version: "2025-03-26")
        let ping = #"{"jsonrpc":"2.0","id":5,"method":"ping"}"#
        let notification = #"{"jsonrpc":"2.0","method":"notifications/x"}"#
        let actions = session.receive("[\(ping),\(call("1")),\(notification),\(call("2")),3]")
        let numbers = actions.compactMap { action -> Int? in
            if case .start(let call) = action { call.number } else { nil }
        }
        #expect(numbers.count == 2 && actions.count == 2)
        #expect(session.finished(numbers[1], Self.answer, boundary: "b").isEmpty)
        let last = session.finished(numbers[0], Self.answer, boundary: "b")
        guard case .send(let line) = last.first, last.count == 1 else { throw Unexpected() }
        let list = try #require(try EventData(json: #"{"list":\#(line)}"#)["list"]?.array)
        #expect(list.map { $0["id"]?.json } == ["5", "null", "2", "1"], "\(line)")
    }

    @Test func aListOfWhichACallIsCancelledIsAnsweredWithoutIt() throws {
        var session = session(version: "2025-03-26")
        let actions = session.receive("[\(call("1")),\(call("2"))]")
        guard actions.count == 2, case .start(let first) = actions[0] else { throw Unexpected() }
        #expect(session.finished(first.number, Self.answer, boundary: "b").isEmpty)
        let end = session.receive(#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#)
        guard end.count == 2, case .cancel = end[0], case .send(let line) = end[1] else { throw Unexpected() }
        #expect(line.hasPrefix("[") && line.contains(#""id":1"#) && !line.contains(#""id":2"#))
    }

    @Test func listsAreBoundedAndBelongToOneVersion() throws {
        let ping = #"{"jsonrpc":"2.0","id":5,"method":"ping"}"#
        var session = session(version: "2025-03-26")
        let many = Array(repeating: ping, count: 17).joined(separator: ",")
        #expect(try session.receive("[\(many)]").isError)
        #expect(try session.receive("[\(ping)]}").isError)
        var later = self.session(version: "2025-06-18")
        #expect(try later.receive("[\(ping)]").isError)
    }
}

private struct Unexpected: Error {}

extension AgentSession {
    fileprivate mutating func receive(_ line: String) -> [Action] { receive(lineOf: Array(line.utf8)) }
    fileprivate mutating func receive(lineOf bytes: [UInt8]) -> [Action] { receive(bytes[...]) }
}

extension [AgentSession.Action] {
    /// The only line that is to be sent.
    fileprivate var onlyLine: EventData {
        get throws {
            guard count == 1, case .send(let line) = self[0] else { throw Unexpected() }
            return try EventData(json: line)
        }
    }

    /// The only call that is to be run.
    fileprivate var onlyCall: AgentCall {
        get throws {
            guard count == 1, case .start(let call) = self[0] else { throw Unexpected() }
            return call
        }
    }

    /// Whether an error of the protocol is to be sent, and nothing else.
    fileprivate var isError: Bool {
        get throws { try onlyLine["error"]?["code"]?.int != nil }
    }
}
