import Foundation
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import MeshSupervision
import NATSClient
import NIOCore
import TestSupport
import Testing

/// Tools controlled over a real server.
@Suite(.timeLimit(.minutes(3))) struct ToolControlTests {
    private func refusal(_ body: () async throws(MeshEventsError) -> ToolControlResult) async -> ToolRefusal? {
        do {
            _ = try await body()
            return nil
        } catch {
            return error.underlying as? ToolRefusal
        }
    }

    @Test(arguments: NATSServers.all)
    func eachActionDoesItsWorkAndIsAnEvent(binary: NATSServers.Binary) async throws {
        try await withControl(binary) { nodes, client in
            let node = nodes[0]
            let tools = RemoteTools(node: node.name, connection: client, by: "anna@desk")
            let installed = try await tools.install("tool", node.recorder(more: ["reload": "HUP"]))
            #expect(installed.state == .running && installed.version == "1")
            #expect(installed.readiness == .unknown, "nothing of it is watched")
            let first = try await node.pid()
            #expect(installed.pid == first)
            try await tools.reload("tool")
            try await eventually("the program to get its reload signal") { node.got() == ["hup"] }
            try await tools.signal("usr1", to: "tool")
            try await eventually("the program to get the signal") { node.got() == ["hup", "usr1"] }
            #expect(try await tools.status(of: "tool").pid == first, "reload and signal start nothing anew")
            #expect(try await tools.restart("tool").state == .running)
            #expect(try await tools.status(of: "tool").pid != first)
            #expect(try await tools.stop("tool").state == .stopped)
            #expect(try await tools.start("tool").state == .running)
            let upgraded = try await tools.upgrade("tool", to: node.recorder(version: "2", more: ["reload": "USR1"]))
            #expect(upgraded.version == "2" && upgraded.state == .running)
            try await eventually("the upgraded program to run") {
                let pid = try await node.pid()
                return node.supervisor.tool(named: "tool")?.pid == pid
            }
            try await tools.reload("tool")
            try await eventually("its own reload signal") { node.got() == ["hup", "usr1", "usr1"] }
            #expect(try await tools.remove("tool").state == .removed)
            #expect(node.supervisor.tools.isEmpty)
            let events = node.controlled
            let actions = [
                "install", "reload", "signal", "restart", "stop", "start", "upgrade", "reload", "remove",
            ]
            #expect(events.map(\.action) == actions && events.allSatisfy { $0.isDone && $0.error == nil })
            #expect(events.allSatisfy { $0.tool == "tool" && $0.by == "anna@desk" && $0.omitted == 0 })
            let signals = [nil, "SIGHUP", "SIGUSR1", nil, nil, nil, nil, "SIGUSR1", nil]
            #expect(events.map(\.signal) == signals)
        }
    }

    @Test(arguments: NATSServers.all)
    func whatCannotBeDoneIsRefusedWithACodeAndAnEvent(binary: NATSServers.Binary) async throws {
        try await withControl(binary) { nodes, client in
            let node = nodes[0]
            let tools = RemoteTools(node: node.name, connection: client)
            try await node.supervisor.install(
                ToolSpecification(name: "idle", version: "1", command: ["sleep", "600"], reloadSignal: .hangup)
            )
            #expect(
                await refusal { () async throws(MeshEventsError) in try await tools.stop("none") }?.code
                    == .notInstalled
            )
            #expect(
                await refusal { () async throws(MeshEventsError) in try await tools.reload("idle") }?.code
                    == .notRunning
            )
            let unknown = await refusal { () async throws(MeshEventsError) in try await tools.signal("NOPE", to: "idle")
            }
            #expect(unknown?.code == .unknownSignal && unknown?.message.contains("SIGUSR1") == true)
            let specification: EventData = ["name": "idle", "version": "1", "command": ["sleep", "1"]]
            let twice = await refusal { () async throws(MeshEventsError) in
                try await tools.install("idle", specification)
            }
            #expect(twice?.code == .alreadyInstalled)
            let other = await refusal { () async throws(MeshEventsError) in
                try await tools.install("other", specification)
            }
            #expect(other?.code == .invalidRequest)
            let missing = await refusal { () async throws(MeshEventsError) in
                try await tools.install("x", ["name": "x", "version": "1", "command": ["/no/such/program"]])
            }
            #expect(missing?.code.rawValue == "commandNotFound")
            #expect(node.supervisor.tool(named: "x") == nil, "a tool whose program is missing is not installed")
            let wrong = await refusal { () async throws(MeshEventsError) in
                try await tools.install("x", ["name": "x", "version": 1.5, "comand": "quoted-in-the-answer"])
            }
            #expect(wrong?.code == .invalidSpecification && wrong?.message.contains("comand") == true)
            let codes = node.controlled.map(\.result)
            let expected = [
                "notInstalled", "notRunning", "unknownSignal", "alreadyInstalled", "invalidRequest", "commandNotFound",
                "invalidSpecification",
            ]
            #expect(codes == expected && node.controlled.allSatisfy { $0.error?.isEmpty == false })
            #expect(
                node.controlled.last?.error?.contains("comand") == false,
                "what a specification says is not published"
            )
        }
    }

    @Test func aToolThatDoesNotSayHowItReloadsIsLeftAlone() async throws {
        try await withControl { nodes, client in
            let node = nodes[0]
            let tools = RemoteTools(node: node.name, connection: client)
            // SIGHUP would end it.
            let plain: EventData = ["name": "plain", "version": "1", "command": ["sleep", "600"]]
            let pid = try await tools.install("plain", plain).pid
            let refused = await refusal { () async throws(MeshEventsError) in try await tools.reload("plain") }
            #expect(refused?.code == .cannotReload && refused?.message.contains("reload: HUP") == true)
            let status = try await tools.status(of: "plain")
            #expect(status.state == .running && status.pid == pid && pid != nil)
            #expect(node.controlled.last?.result == "cannotReload" && node.controlled.last?.signal == nil)
            let none = await refusal { () async throws(MeshEventsError) in try await tools.reload("none") }
            #expect(none?.code == .notInstalled)
        }
    }

    @Test func withoutTheFlagNothingIsInstalledChangedOrRemoved() async throws {
        try await withControl(installs: false) { nodes, client in
            let node = nodes[0]
            try await node.supervisor.install(
                ToolSpecification(name: "tool", version: "1", command: ["sleep", "600"])
            )
            try await node.supervisor.start("tool")
            let pid = node.supervisor.tool(named: "tool")?.pid
            let tools = RemoteTools(node: node.name, connection: client)
            let recorder = try node.recorder()
            for refused in [
                await refusal { () async throws(MeshEventsError) in try await tools.install("new", recorder) },
                await refusal { () async throws(MeshEventsError) in try await tools.upgrade("tool", to: recorder) },
                await refusal { () async throws(MeshEventsError) in try await tools.remove("tool") },
            ] {
                #expect(refused?.code == .installOff && refused?.message.contains("--allow-install") == true)
            }
            #expect(node.supervisor.tools.map(\.pid) == [pid])
            #expect(node.controlled.map(\.result) == ["installOff", "installOff", "installOff"])
        }
    }

    @Test func aVariableOfASpecificationIsTheNodesAndIsNotPublished() async throws {
        try await withControl(variables: ["TOKEN": "the-node's-own-token"]) { nodes, client in
            let node = nodes[0]
            try await RemoteTools(node: node.name, connection: client).install(
                "tool",
                [
                    "name": "tool", "version": "1", "command": ["sh", "-c", "echo $T > token; exec sleep 600"],
                    "env": ["T": "${TOKEN}"], "config": ["shown": "${TOKEN}"], "publish": ["shown"],
                ]
            )
            try await eventually("the tool to have the variable") {
                (try? node.directory.text(of: "token")) == "the-node's-own-token\n"
            }
            #expect(node.count(ToolConfigured.self) == 1)
            #expect(
                node.supervisor.specification(of: "tool")?.publishedConfiguration.json.contains("own-token") == false
            )
        }
    }

    // MARK: Twice

    @Test(arguments: NATSServers.all)
    func aRequestThatComesTwiceIsCarriedOutOnce(binary: NATSServers.Binary) async throws {
        try await withControl(binary) { nodes, client in
            let node = nodes[0]
            let tools = RemoteTools(node: node.name, connection: client)
            try await tools.install("tool", node.recorder())
            let started = node.count(ToolStarted.self)
            let request = ToolRequest(.restart, tool: "tool")
            // At the same time, and afterwards.
            async let one = tools.send(request)
            async let two = tools.send(request)
            let results = try await [one, two]
            let third = try await tools.send(request)
            #expect(Set(results.map(\.pid)).count == 1 && third.pid == results[0].pid)
            #expect(node.count(ToolStarted.self) == started + 1)
            #expect(node.controlled.count { $0.action == "restart" } == 1)
            let other = await refusal { () async throws(MeshEventsError) in
                try await tools.send(ToolRequest(.stop, tool: "tool", id: request.id))
            }
            #expect(other?.code == .invalidRequest)
            #expect(node.supervisor.tool(named: "tool")?.state == .running)
            // A refusal is the same answer, too.
            let wrong = ToolRequest(.reload, tool: "none")
            for _ in 0..<2 {
                let answer = await refusal { () async throws(MeshEventsError) in try await tools.send(wrong) }
                #expect(answer?.code == .notInstalled)
            }
            #expect(node.controlled.count { $0.tool == "none" } == 1)
        }
    }

    @Test(arguments: NATSServers.all)
    func aRequestOfAnotherTimeIsRefusedWithTheNodesTime(binary: NATSServers.Binary) async throws {
        try await withControl(binary) { nodes, client in
            let node = nodes[0]
            let tools = RemoteTools(node: node.name, connection: client)
            try await tools.install("tool", node.recorder())
            let started = node.count(ToolStarted.self)
            let old = ToolRequest(.restart, tool: "tool", time: Timestamp.now.subtracting(.seconds(3_600)))
            let error = await thrownError { () async throws(MeshEventsError) in _ = try await tools.send(old) }
            #expect((error?.underlying as? ToolRefusal)?.code == .untimely)
            #expect(error?.message.contains("make a new request") == true, "\(error?.message ?? "")")
            #expect(node.count(ToolStarted.self) == started)
            // By a clock that is ahead.
            let ahead = Timestamp.now.adding(.seconds(3_600))
            func text(_ time: Timestamp) -> String {
                #"{"action":"restart","tool":"tool","id":"ahead","time":"\#(time)"}"#
            }
            let refused = try await node.ask(text(ahead), from: client)
            #expect(refused["error"]?["code"]?.string == "untimely")
            let told = try Timestamp(rfc3339: try #require(refused["time"]?.string))
            for _ in 0..<2 {
                let answer = try await node.ask(text(told), from: client)
                #expect(answer["state"]?.string == "running" && answer["error"] == nil, "\(answer.json)")
            }
            #expect(node.count(ToolStarted.self) == started + 1)
        }
    }

    /// A node in a few lines.
    private func answering(
        _ node: NATSConnection,
        _ answer: @escaping @Sendable (EventData) async throws -> [String]
    ) async throws -> Task<Void, any Error> {
        let requests = try await node.subscribe(to: "mesh.control.tool.fake")
        return Task {
            for try await request in requests {
                let texts = try await answer(try EventData(json: request.payload.readableBytesView))
                for text in texts { try node.publish(ByteBuffer(string: text), to: request.replyTo ?? "") }
            }
        }
    }

    @Test func whoAsksANodeWithAnotherClockIsUnderstoodAtTheSecondTry() async throws {
        try await withServer { server in
            let (node, client) = (try await connect(server), try await connect(server))
            let asked = Locked<[EventData]>([])
            let running = try await answering(node) { request in
                asked.withLock { $0.append(request) }
                let now = Timestamp.now.adding(.seconds(-3_600))
                let made = try Timestamp(rfc3339: request["time"]?.string ?? "")
                if made <= now.adding(.seconds(60)) { return [#"{"state":"running"}"#] }
                return [#"{"error":{"code":"untimely","message":"it is \#(now)"},"time":"\#(now)"}"#]
            }
            let result = try await RemoteTools(node: "fake", connection: client).restart("a")
            #expect(result.state == .running && result.otherAnswers == 0)
            let ids = asked.withLock { $0 }.map { $0["id"]?.string ?? "" }
            #expect(ids.count == 2 && Set(ids).count == 1)
            running.cancel()
            await node.close()
            await client.close()
        }
    }

    @Test func theFirstAnswerIsPassedOnBeforeOthersAreWaitedFor() async throws {
        try await withServer { server in
            let (node, client) = (try await connect(server), try await connect(server))
            let told = OneTimeSignal()
            let requests = try await node.subscribe(to: "mesh.control.tool.fake")
            let running = Task {
                for try await request in requests {
                    // The wait for others is as long.
                    try await Task.sleep(for: .milliseconds(500))
                    try node.publish(ByteBuffer(string: #"{"state":"running"}"#), to: request.replyTo ?? "")
                    // Another node of that name, after the first answer is known.
                    _ = await told.value(until: .now + .seconds(30))
                    try node.publish(ByteBuffer(string: #"{"state":"stopped"}"#), to: request.replyTo ?? "")
                }
            }
            let tools = RemoteTools(node: "fake", connection: client)
            // The second answer may come later than it is waited for, on a busy machine.
            try await eventually("both to be counted") {
                let result = try await tools.send(.restart("a")) { first in
                    #expect(first.state == .running && first.otherAnswers == 0)
                    told.send()
                }
                return result.otherAnswers == 1 && result.state == .running
            }
            running.cancel()
            await node.close()
            await client.close()
        }
    }

    // MARK: Old and strange clients, old nodes

    @Test(arguments: NATSServers.all)
    func anOldClientsRequestsGoOnWorking(binary: NATSServers.Binary) async throws {
        try await withControl(binary) { nodes, client in
            let node = nodes[0]
            try await node.supervisor.install(
                ToolSpecification(name: "tool", version: "1", command: ["sleep", "600"])
            )
            for (action, state) in [("start", "running"), ("restart", "running"), ("stop", "stopped")] {
                let answer = try await node.ask(#"{"action":"\#(action)","tool":"tool"}"#, from: client)
                #expect(answer["state"]?.string == state && answer["error"] == nil)
            }
            let refused = try await node.ask(#"{"action":"stop","tool":"none"}"#, from: client)
            #expect(refused["error"]?["code"]?.string == "notInstalled")
            #expect(refused["error"]?["message"]?.string?.isEmpty == false)
            #expect(node.controlled.map(\.by) == ["", "", "", ""])
        }
    }

    @Test func whatIsNoRequestIsAnsweredAndAnEventWithoutContent() async throws {
        try await withControl { nodes, client in
            let node = nodes[0]
            let texts = ["", "x", "[]", #"{"action":"explode","tool":"a"}"#, #"{"action":"stop","tool":7}"#]
            for text in texts {
                let answer = try await node.ask(text, from: client)
                #expect(answer["error"]?["code"]?.string == "invalidRequest", "\(text)")
            }
            let large = try await node.ask(#"{"tool":"\#(String(repeating: "x", count: 70_000))"}"#, from: client)
            #expect(large["error"]?["code"]?.string == "tooLarge")
            #expect(node.controlled.count == 6 && node.controlled.allSatisfy { $0.tool == "" && $0.action == "" })
            let hostile = #"{"action":"stop","tool":"\u001b[2J\#(String(repeating: "é", count: 500))","by":"\u0007me"}"#
            _ = try await node.ask(hostile, from: client)
            let event = try #require(node.controlled.last)
            #expect(event.tool.utf8.count <= 128 && !event.tool.contains("\u{1B}") && event.by == "me")
        }
    }

    @Test func anOldNodesRefusalSaysThatItIsOlderAndWhatItKnows() async throws {
        try await withServer { server in
            let (old, client) = (try await connect(server), try await connect(server))
            let requests = try await old.subscribe(to: "mesh.control.tool.old")
            let answering = Task {
                for try await request in requests {
                    let data = try EventData(json: request.payload.readableBytesView)
                    let isKnown = ["start", "stop", "restart"].contains(data["action"]?.string ?? "")
                    let answer =
                        isKnown
                        ? #"{"state":"running"}"#
                        : #"{"error":{"code":"invalidRequest","message":"the request must be a JSON object with the members action (start, stop, restart) and tool"}}"#
                    try old.publish(ByteBuffer(string: answer), to: request.replyTo ?? "")
                }
            }
            let tools = RemoteTools(node: "old", connection: client)
            #expect(try await tools.restart("a") == ToolControlResult(node: "old", tool: "a", state: .running))
            let error = await thrownError { () async throws(MeshEventsError) in _ = try await tools.reload("a") }
            #expect(error?.code == .serverRefused)
            #expect(error?.message.contains("does not know the action reload") == true)
            #expect(error?.message.contains("start, stop, restart") == true, "\(error?.message ?? "")")
            // That it runs has to do as readiness.
            let report = await ToolRollout(.restart("a"), on: ["old"], connection: client).run()
            #expect(report.isComplete && report.done.map(\.node) == ["old"])
            answering.cancel()
            await old.close()
            await client.close()
        }
    }

    @Test func whoAsksTwoNodesOfOneNameLearnsOfBoth() async throws {
        try await withControl(nodes: ["pi", "pi"]) { nodes, client in
            let tools = RemoteTools(node: "pi", connection: client)
            for node in nodes {
                let recorder = ToolSpecification(
                    name: "tool",
                    version: "1",
                    command: ["sh", "-c", "while :; do sleep 0.05; done"]
                )
                try await node.supervisor.install(recorder)
            }
            // The other one may be slower than the wait for it, on a busy machine.
            try await eventually("both to answer") {
                let result = try await tools.restart("tool")
                return result.otherAnswers == 1 && result.warning?.contains("2 nodes named \"pi\"") == true
            }
            try await eventually("both to refuse") {
                let error = await thrownError { () async throws(MeshEventsError) in
                    _ = try await tools.restart("none")
                }
                return error?.message.contains("2 nodes named \"pi\"") == true
                    && (error?.underlying as? ToolRefusal)?.code == .notInstalled
            }
            #expect(nodes.allSatisfy { $0.controlled.contains { $0.tool == "tool" && $0.isDone } })
            await nodes[1].close()
            try await eventually("one to be left") { try await tools.restart("tool").otherAnswers == 0 }
            let alone = try await tools.restart("tool")
            #expect(alone.otherAnswers == 0 && alone.warning == nil)
        }
    }

    // MARK: Time and floods

    @Test func aLateAnswerComesInTimeAndTheWorkGoesOn() async throws {
        try await withControl { nodes, client in
            let node = nodes[0]
            let tools = RemoteTools(node: node.name, connection: client)
            // Ends two seconds after it is asked to.
            let script = "trap 'sleep 2; exit 0' TERM; touch armed; while :; do sleep 0.05; done"
            try await tools.install(
                "slow",
                ["name": "slow", "version": "1", "command": ["sh", "-c", .string(script)]]
            )
            try await eventually("the tool to be armed") { (try? node.directory.text(of: "armed")) != nil }
            let request = ToolRequest(.stop, tool: "slow")
            let error = await thrownError { () async throws(MeshEventsError) in
                _ = try await tools.send(request, timeout: .seconds(1))
            }
            #expect(error?.code == .timeout && (error?.underlying as? ToolRefusal)?.code == .timeout)
            #expect(node.controlled.allSatisfy { $0.action != "stop" || !$0.isDone }, "it is not done yet")
            // Asked again, it is the same request.
            #expect(try await tools.send(request).state == .stopped)
            #expect(node.controlled.count { $0.action == "stop" && $0.isDone } == 1)
        }
    }

    @Test func whatTakesLongIsInTheHistoryBeforeItsEnd() async throws {
        try await withControl { nodes, client in
            let node = nodes[0]
            let tools = RemoteTools(node: node.name, connection: client, by: "anna")
            // Ends when it is told to.
            let script =
                "trap 'while ! test -e end; do sleep 0.05; done; exit 0' TERM; touch armed; "
                + "while :; do sleep 0.05; done"
            let command: JSONValue = ["sh", "-c", .string(script)]
            let slow: EventData = ["name": "slow", "version": "1", "command": command, "grace": "600s"]
            try await tools.install("slow", slow)
            try await eventually("the tool to be armed") { (try? node.directory.text(of: "armed")) != nil }
            let request = ToolRequest(.stop, tool: "slow", by: "anna")
            async let answer = tools.send(request, timeout: .seconds(120))
            try await eventually("word of the stop") { node.controlled.contains { $0.action == "stop" } }
            #expect(node.controlled.filter { $0.action == "stop" }.map(\.result) == ["accepted"])
            _ = try node.directory.file("end", "")
            #expect(try await answer.state == .stopped)
            let stops = node.controlled.filter { $0.action == "stop" }
            #expect(stops.map(\.result) == ["accepted", "done"])
            #expect(stops.allSatisfy { $0.request == request.id && $0.by == "anna" && $0.tool == "slow" })
            // What is done at once has one event.
            try await tools.start("slow")
            #expect(node.controlled.filter { $0.action == "start" }.map(\.result) == ["done"])
            try await tools.signal("KILL", to: "slow")
        }
    }

    @Test func aSignalReachesAToolThatIsBeingStopped() async throws {
        try await withControl { nodes, client in
            let node = nodes[0]
            let tools = RemoteTools(node: node.name, connection: client)
            let script = "trap '' TERM; touch armed; while :; do sleep 0.05; done"
            try await tools.install(
                "deaf",
                ["name": "deaf", "version": "1", "command": ["sh", "-c", .string(script)], "grace": "600s"]
            )
            try await eventually("the tool to be armed") { (try? node.directory.text(of: "armed")) != nil }
            async let stopped = tools.stop("deaf")
            try await eventually("the stop to begin") { node.supervisor.tool(named: "deaf")?.state == .stopping }
            try await tools.signal("KILL", to: "deaf")
            #expect(try await stopped.state == .stopped)
        }
    }

    @Test func aFloodOfRefusedRequestsIsAFewEventsThatCountTheOthers() async throws {
        try await withControl { nodes, client in
            let node = nodes[0]
            let tools = RemoteTools(node: node.name, connection: client)
            for _ in 0..<150 {
                _ = await refusal { () async throws(MeshEventsError) in try await tools.start("none") }
            }
            let events = node.controlled
            #expect(events.count >= 20 && events.count <= 25, "\(events.count)")
            // What was left out is counted by the next event, here that of something done.
            try await tools.install("tool", node.recorder())
            let omitted = node.controlled.map(\.omitted).reduce(0, +)
            #expect(node.controlled.last?.isDone == true && node.controlled.count + omitted == 151)
        }
    }

    @Test func aFloodOfActionsIsRefusedBeforeEventsAreLost() async throws {
        try await withControl { nodes, client in
            let node = nodes[0]
            try await node.supervisor.install(
                ToolSpecification(name: "tool", version: "1", command: ["sleep", "600"])
            )
            var (done, busy) = (0, 0)
            for _ in 0..<400 {
                let answer = try await node.ask(#"{"action":"stop","tool":"tool"}"#, from: client)
                if answer["state"] != nil { done += 1 }
                if answer["error"]?["code"]?.string == "busy" { busy += 1 }
            }
            #expect(done + busy == 400 && busy > 0 && done >= 200)
            #expect(node.controlled.count(where: \.isDone) == done, "each that was done has its event")
        }
    }
}
