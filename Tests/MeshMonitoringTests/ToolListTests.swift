import MeshEvents
import TestSupport
import Testing

@testable import MeshMonitoring

/// What health events list counts beside what tools' events say.
@Suite struct ToolListTests {
    private func tool(_ events: [Event], at second: Double = 90) throws -> MeshState.Tool {
        try #require(Mesh.state(events, at: second).tool("whisper", on: "pi"))
    }

    private let installed = Mesh.tool("installed", 1, ["tool": "whisper", "version": "v1.0.0"])
    private let started = Mesh.tool("started", 2)

    private func crashed(_ second: Double, _ count: Int = 1, _ error: String = "exited with code 3") -> Event {
        Mesh.tool("crashed", second, ["error": .string(error), "restart_count": JSONValue(count), "tool": "whisper"])
    }

    /// Folds the events in each of their orders, twice each, and compares.
    private func inAnyOrder(_ events: [Event], at second: Double = 90, _ check: (MeshState.Tool) -> Void) throws {
        let whole = Mesh.state(events, at: second)
        func permutations(_ rest: [Event]) -> [[Event]] {
            guard !rest.isEmpty else { return [[]] }
            return rest.indices.flatMap { index -> [[Event]] in
                var others = rest
                let first = others.remove(at: index)
                return permutations(others).map { [first] + $0 }
            }
        }
        for order in permutations(events) {
            let state = Mesh.state(order + order, at: second)
            let isSame = state == whole
            #expect(isSame, "\(order)")
            check(try #require(state.tool("whisper", on: "pi")))
        }
    }

    @Test(arguments: ["installed", "starting", "running", "backing_off", "failed", "stopped"])
    func aListAloneSaysAll(state: String) throws {
        let entry = Mesh.listed(state, since: 3, version: "v7", restarts: 2, error: "out of memory")
        let tool = try tool([Mesh.health(10, tools: [entry])])
        #expect(tool.state.rawValue == state && tool.since == Mesh.time(3) && tool.version == "v7")
        #expect(tool.restartCount == 2 && tool.lastError == "out of memory" && tool.stopReason == nil)
    }

    @Test func theNewerOfAnEventAndAListDecides() throws {
        let failed = Mesh.listed("failed", since: 4, restarts: 5, error: "no memory")
        try inAnyOrder([installed, started, crashed(3), Mesh.health(10, tools: [failed])]) { tool in
            #expect(tool.state == .failed && tool.since == Mesh.time(4) && tool.restartCount == 5)
            #expect(tool.lastError == "no memory" && tool.lastCrashAt == Mesh.time(3) && tool.version == "v1.0.0")
        }
        // Started on request after that.
        try inAnyOrder([installed, crashed(3), Mesh.health(10, tools: [failed]), Mesh.tool("started", 11)]) { tool in
            #expect(tool.state == .running && tool.since == Mesh.time(11) && tool.restartCount == 0)
            #expect(tool.lastError == nil && tool.lastCrashAt == nil)
        }
        let waiting = Mesh.listed("backing_off", since: 4, restarts: 1, error: "no memory")
        try inAnyOrder([started, Mesh.health(10, tools: [waiting]), Mesh.tool("started", 11)]) { tool in
            #expect(tool.state == .running && tool.restartCount == 2 && tool.lastError == "no memory")
        }
        try inAnyOrder([started, Mesh.health(10, tools: [waiting]), crashed(12, 4, "other")]) { tool in
            #expect(tool.state == .backingOff && tool.restartCount == 3 && tool.lastError == "other")
        }
        try inAnyOrder([
            Mesh.health(10, tools: [Mesh.listed("running", since: 4)]), Mesh.health(20, tools: [waiting]), started,
        ]) { tool in #expect(tool.state == .backingOff) }
    }

    @Test func theReasonOfAStopHoldsAsLongAsTheState() throws {
        let stopped = Mesh.tool("stopped", 5, ["reason": "nap", "tool": "whisper"])
        let list = Mesh.health(10, tools: [Mesh.listed("stopped", since: 5)])
        #expect(try tool([started, stopped, list]).stopReason == "nap")
        #expect(
            try tool([started, stopped, Mesh.health(10, tools: [Mesh.listed("failed", since: 5)])]).stopReason == nil
        )
        let gaveUp = Mesh.tool("stopped", 5, ["failed": true, "reason": "gave up after 1 restarts", "tool": "whisper"])
        let failed = Mesh.health(10, tools: [Mesh.listed("failed", since: 5, error: "no")])
        #expect(try tool([started, gaveUp, failed]).stopReason == "gave up after 1 restarts")
    }

    @Test func aToolThatACompleteListDoesNotNameWasRemoved() throws {
        let other = Mesh.listed("running", since: 0, "other")
        try inAnyOrder([installed, started, Mesh.health(10, tools: [other]), Mesh.health(20, tools: [other])]) { tool in
            #expect(tool.state == .removed && tool.since == Mesh.time(2) && tool.version == "v1.0.0")
        }
        // A node that lists none has none.
        #expect(try tool([installed, Mesh.health(10, tools: [])]).state == .removed)
        // Incomplete, not a list, or older.
        for list in [
            Mesh.health(10, tools: [other], omitted: 1), Mesh.health(10, tools: [other], omitted: "x"),
            Mesh.health(10, tools: "none"), Mesh.health(10, tools: nil), Mesh.health(10, tools: [other, 7]),
            Mesh.health(1.5, tools: [other]), Mesh.health(10),
        ] {
            #expect(try tool([installed, started, list]).state == .running, "\(list)")
        }
        #expect(try tool([started, Mesh.health(10, tools: [other], omitted: 0)]).state == .removed)
        #expect(try tool([started, Mesh.health(10, tools: [other], omitted: .some(nil))]).state == .removed)
        let summary = Mesh.state([installed, started, Mesh.health(10, tools: [other])], at: 11).summary
        #expect(summary.tools == 1 && summary.running == 1)
    }

    @Test func installedAgainAfterItWasMissingItBeginsAnew() throws {
        let again = Mesh.tool("installed", 15, ["tool": "whisper", "version": "v2"])
        try inAnyOrder([started, crashed(3), Mesh.health(10, tools: []), again]) { tool in
            #expect(tool.state == .installed && tool.since == Mesh.time(15) && tool.version == "v2")
            #expect(tool.lastError == nil && tool.restartCount == 0)
        }
        try inAnyOrder([
            started, Mesh.health(10, tools: []), Mesh.health(20, tools: [Mesh.listed("running", since: 12)]),
        ]) {
            #expect($0.state == .running && $0.since == Mesh.time(12))
        }
        // A list that is newer than its removal shows that it is there again.
        let removed = Mesh.tool("removed", 5)
        try inAnyOrder([started, removed, Mesh.health(10, tools: [Mesh.listed("running", since: 8)])]) {
            #expect($0.state == .running)
        }
        try inAnyOrder([Mesh.health(4, tools: [Mesh.listed("running", since: 2)]), removed, Mesh.health(10, tools: [])])
        {
            #expect($0.state == .removed && $0.since == Mesh.time(5))
        }
    }

    @Test(arguments: ["starting", "running", "backing_off", "failed"])
    func listedToolsEndWithTheirNode(state: String) throws {
        let list = Mesh.health(10, tools: [Mesh.listed(state, since: 3, restarts: 4)])
        let left = try tool([list, Mesh.left(20)])
        #expect(left.state == .stopped && left.stopReason == "the node left" && left.since == Mesh.time(20))
        #expect(left.restartCount == 0)
        let anew = try tool([Mesh.joined(0, ["instance": "a"]), list, Mesh.joined(20, ["instance": "b"])])
        #expect(anew.state == .stopped && anew.stopReason == "the node was started anew")
        let back = Mesh.health(30, tools: [Mesh.listed(state, since: 25)])
        #expect(try tool([list, Mesh.left(20), back]).state.rawValue == state)
    }

    @Test func toolsThatDoNotRunOutliveTheirNodeAsTheyAre() throws {
        for state in ["installed", "stopped"] {
            let list = Mesh.health(10, tools: [Mesh.listed(state, since: 3)])
            #expect(try tool([list, Mesh.left(20)]).state.rawValue == state)
        }
    }

    @Test func oddListsAreReadAsFarAsTheyGo() throws {
        let list: JSONValue = [
            1, "text", nil, [[]], [:], ["name": 5], ["name": ""], ["state": "running"],
            ["name": "bare"],
            ["name": "new", "state": "levitating", "restarts": 3],
            ["name": "gone", "state": "removed"],
            ["name": "odd", "state": 7, "version": [], "since": "yesterday", "restarts": -4, "error": [:]],
            ["name": "future", "state": "running", "since": .string(Mesh.time(5_000).description), "restarts": 1e300],
            ["name": "twice", "state": "running", "version": "1"], ["name": "twice", "state": "failed"],
        ]
        var state = MeshState()
        let event = Mesh.health(10, tools: list)
        state.apply(event)
        #expect(state.tools(on: "pi").map(\.name) == ["bare", "future", "new", "odd", "twice"])
        #expect(state.tools(on: "pi").map(\.state) == [.installed, .running, .installed, .installed, .failed])
        #expect(state.tool("odd", on: "pi")?.restartCount == 0 && state.tool("odd", on: "pi")?.lastError == nil)
        #expect(state.tool("future", on: "pi")?.since == Mesh.time(10))
        #expect(state.tool("new", on: "pi")?.restartCount == 3)
        // A state that is not known here leaves what the tool's events say.
        state.apply(Mesh.tool("started", 9, ["tool": "new"]))
        #expect(state.tool("new", on: "pi")?.state == .running)
        #expect(state.apply(event) == nil && state.leftOut.isEmpty)
        let huge: JSONValue = .array([Mesh.listed("backing_off", since: 0, restarts: .max)])
        state.apply(Mesh.health(20, tools: huge))
        state.apply(Mesh.tool("started", 21))
        #expect(state.tool("whisper", on: "pi")?.restartCount == .max)
    }

    @Test func aListSaysWhatItChanged() throws {
        var state = Mesh.state([Mesh.health(0), installed, started], at: 5)
        let running = Mesh.listed("running", since: 1.999)
        // The same, with the time of the supervisor instead of the event's.
        #expect(state.apply(Mesh.health(10, tools: [running]))?.kinds == .resources)
        let two: JSONValue = [running, Mesh.listed("failed", since: 12, "b", error: "no")]
        #expect(state.apply(Mesh.health(20, tools: two)) == .init(node: "pi", kinds: [.resources, .tool], tool: "b"))
        #expect(state.apply(Mesh.health(30, tools: two)) == .init(node: "pi", kinds: .resources))
        #expect(state.apply(Mesh.health(30, tools: two)) == nil)
        #expect(state.apply(Mesh.health(40, tools: [])) == .init(node: "pi", kinds: [.resources, .tool]))
        #expect(state.apply(Mesh.health(50, tools: [])) == .init(node: "pi", kinds: .resources))
        let back = state.apply(Mesh.health(60, tools: [running]))
        #expect(back == .init(node: "pi", kinds: [.resources, .tool], tool: "whisper"))
    }

    @Test func aToolThatIsNotListedAnyMoreIsForgottenInTheEnd() {
        var state = Mesh.state([started, Mesh.health(10, tools: [])], at: 11)
        for second in stride(from: 20.0, through: 1_000, by: 10) { state.apply(Mesh.health(second, tools: [])) }
        state.advance(to: Mesh.time(1_001))
        #expect(state.tools(on: "pi").count == 1)
        state.forget(olderThan: Mesh.time(500))
        #expect(state.tools(on: "pi").isEmpty && state.node("pi")?.status == .online)
    }

    @Test func aClockThatIsAheadDoesNotMakeAToolNew() {
        var state = MeshState()
        for second in [10.0, 20, 30] {
            let event = Mesh.health(7_200 + second, tools: [Mesh.listed("running", since: 7_200 + 5)])
            let change = state.apply(event, receivedAt: Mesh.time(second))
            #expect(change?.kinds.contains(.tool) == (second == 10))
        }
        #expect(state.tool("whisper", on: "pi")?.since == Mesh.time(5))
    }
}

/// Random lives of a node's tools, as a supervisor would have them.
@Suite(.timeLimit(.minutes(2))) struct ToolHistoryTests {
    /// A node, and how its tools really are.
    private struct Model {
        struct Tool: Equatable {
            var version: String
            var state = MeshState.Tool.State.installed
            var since: Double
            var restarts = 0
            var error: String?
        }

        var tools: [String: Tool] = [:]
        var events: [Event] = []
        var second = 1.0
        var instance = 0
        var generator: SeededGenerator

        init(seed: UInt64) {
            generator = SeededGenerator(seed: seed)
            join()
        }

        mutating func join() {
            instance += 1
            tools = [:]
            events.append(Mesh.joined(second, ["instance": .string("i\(instance)")]))
        }

        mutating func health() {
            second += 1
            let list = tools.sorted { $0.key < $1.key }.map { name, tool in
                Mesh.listed(
                    tool.state.rawValue,
                    since: tool.since,
                    name,
                    version: tool.version,
                    restarts: tool.restarts,
                    error: tool.error
                )
            }
            events.append(Mesh.health(second, tools: .array(list), ["instance": .string("i\(instance)")]))
        }

        mutating func step() {
            second += 1
            let name = "t\(Int.random(in: 0..<5, using: &generator))"
            let choice = Int.random(in: 0..<6, using: &generator)
            switch (tools[name]?.state, choice) {
            case (_, 0): health()
            case (nil, 1) where Bool.random(using: &generator): join()
            case (nil, _):
                tools[name] = Tool(version: "v\(second)", since: second)
                emit("installed", name, ["version": .string("v\(second)")])
            case (.installed, 1), (.stopped, 1), (.failed, 1):
                tools[name] = nil
                emit("removed", name)
            case (_, 1):
                tools[name]?.version = "v\(second)"
                emit("installed", name, ["version": .string("v\(second)")])
            case (.installed, _), (.stopped, _), (.failed, _):
                become(name, .running) { ($0.restarts, $0.error) = (0, nil) }
                emit("started", name)
            case (.running, 2), (.backingOff, 2):
                become(name, .stopped)
                emit("stopped", name, ["reason": "asked to"])
            case (.running, 3):
                crash(name, .failed)
                second += 1
                emit("stopped", name, ["reason": "gave up after 1 restarts", "failed": true, "error": error(name)])
            case (.running, _): crash(name, .backingOff)
            case (.backingOff, _):
                become(name, .running) { $0.restarts += 1 }
                emit("started", name)
            case (.starting, _), (.removed, _): break
            }
        }

        private func error(_ name: String) -> JSONValue { tools[name]?.error.map { .string($0) } ?? .null }

        private mutating func crash(_ name: String, _ state: MeshState.Tool.State) {
            let second = second
            become(name, state) { $0.error = "crash at \(second)" }
            emit("crashed", name, ["error": error(name), "restart_count": JSONValue((tools[name]?.restarts ?? 0) + 1)])
        }

        private mutating func become(
            _ name: String,
            _ state: MeshState.Tool.State,
            _ change: (inout Tool) -> Void = { _ in }
        ) {
            guard var tool = tools[name] else { return }
            (tool.state, tool.since) = (state, second)
            change(&tool)
            tools[name] = tool
        }

        private mutating func emit(_ what: String, _ tool: String, _ members: [String: JSONValue] = [:]) {
            let data = EventData(JSONObject(members.merging(["tool": .string(tool)]) { $1 }))
            events.append(Mesh.tool(what, second, data))
        }

        /// The events as a stream has them.
        var stored: [StoredEvent] {
            events.enumerated().map { StoredEvent(event: $1, sequence: UInt64($0 + 1), storedAt: $1.timestamp) }
        }
    }

    private func fold(_ events: some Sequence<StoredEvent>) -> MeshState {
        var state = MeshState()
        for event in events { state.apply(event) }
        state.advance(to: Mesh.time(100_000))
        return state
    }

    private func model(_ seed: UInt64) -> Model {
        var model = Model(seed: seed)
        for _ in 0..<80 { model.step() }
        return model
    }

    /// Compares what is known of the tools with how they are.
    private func expect(_ state: MeshState, _ model: Model, _ note: Comment) {
        let present = state.tools(on: "pi").filter { $0.state != .removed }
        #expect(present.map(\.name) == model.tools.keys.sorted(), note)
        for tool in present {
            let known = Model.Tool(
                version: tool.version ?? "",
                state: tool.state,
                since: tool.since.map { $0.duration(since: Mesh.start) / .seconds(1) } ?? -1,
                restarts: tool.restartCount,
                error: tool.lastError
            )
            #expect(known == model.tools[tool.name], note)
        }
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func theOrderOfEventsAndListsMakesNoDifferenceNorDoRepeats(seed: UInt64) {
        var model = model(seed)
        let events = model.stored
        let whole = fold(events)
        let some = events.filter { _ in Bool.random(using: &model.generator) }
        // Compared first: the states are too long to be printed.
        let isSame = [
            fold(events.shuffled(using: &model.generator)) == whole,
            fold((events + events + events).shuffled(using: &model.generator)) == whole,
            fold(some.shuffled(using: &model.generator)) == fold(some),
        ]
        #expect(isSame == [true, true, true])
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func theLastHealthEventAloneSaysWhatAllEventsSay(seed: UInt64) throws {
        var model = model(seed)
        // Before it, the events alone say what each tool does.
        let before = fold(model.stored)
        if model.instance == 1 {
            for (name, tool) in model.tools { #expect(before.tool(name, on: "pi")?.state == tool.state, "\(name)") }
        }
        model.health()
        let events = model.stored
        expect(fold(events), model, "all events")
        expect(fold([try #require(events.last)]), model, "the last alone")
        for _ in 0..<5 {
            let some = events.dropLast().filter { _ in Bool.random(using: &model.generator) } + events.suffix(1)
            expect(fold(some.shuffled(using: &model.generator)), model, "some were lost")
        }
    }
}
