import MeshEvents
import MeshMonitoring
import Testing

@testable import mesh_events

@Suite struct StatusCheckTests {
    private static let start = Timestamp(nanosecondsSinceEpoch: 1_800_000_000_000_000_000)

    /// The mesh after these events, each a second after the one before, with a second more.
    private static func mesh(_ events: [(EventType, String, EventData)], after seconds: Double = 1) -> MeshState {
        var state = MeshState()
        for (index, (type, node, data)) in events.enumerated() {
            state.apply(Event(type, node: node, timestamp: start.adding(.seconds(index)), data: data))
        }
        state.advance(to: start.adding(.seconds(Double(events.count) + seconds)))
        return state
    }

    private static let online: (EventType, String, EventData) = (.nodeHealth, "pi", ["status": "online"])
    private static let running: (EventType, String, EventData) = (.toolStarted, "pi", ["tool": "t"])

    private static func event(_ type: EventType, _ data: EventData) -> (EventType, String, EventData) {
        (type, "pi", data)
    }

    private static let gaveUp = event(
        .toolStopped,
        ["tool": "t", "reason": "gave up after 5 restarts", "failed": true, "error": "no memory"]
    )
    private static let crashed = event(.toolCrashed, ["tool": "t", "error": "exited with code 3", "restart_count": 1])

    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let mesh: MeshState
        /// The exit codes for the whole mesh, for the node, and for its tool.
        let (all, node, tool): (Int32, Int32, Int32)
        let line: String
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(
            name: "well",
            mesh: mesh([online, running]),
            all: 0,
            node: 0,
            tool: 0,
            line: "OK - 1 node: 1 online; 1 tool: 1 running"
        ),
        Case(
            name: "stopped on request",
            mesh: mesh([online, running, event(.toolStopped, ["tool": "t", "reason": "stopped"])]),
            all: 0,
            node: 0,
            tool: 0,
            line: "OK - 1 node: 1 online; 1 tool: 1 stopped"
        ),
        Case(
            name: "backing off",
            mesh: mesh([online, crashed]),
            all: 1,
            node: 1,
            tool: 1,
            line: "WARNING - pi/t is backing off: exited with code 3"
        ),
        Case(
            name: "not ready",
            mesh: mesh([online, event(.toolStarted, ["tool": "t", "ready": false])]),
            all: 0,
            node: 0,
            tool: 0,
            line: "OK - 1 node: 1 online; 1 tool: 1 running"
        ),
        Case(
            name: "unhealthy",
            mesh: mesh([online, running, event(.toolUnhealthy, ["tool": "t", "reason": "no answer within 2s"])]),
            all: 1,
            node: 1,
            tool: 1,
            line: "WARNING - pi/t is unhealthy: no answer within 2s"
        ),
        Case(
            name: "healthy again",
            mesh: mesh([
                online, running, event(.toolUnhealthy, ["tool": "t", "reason": "no answer within 2s"]),
                event(.toolHealthy, ["tool": "t"]),
            ]),
            all: 0,
            node: 0,
            tool: 0,
            line: "OK - 1 node: 1 online; 1 tool: 1 running"
        ),
        Case(
            name: "degraded",
            mesh: mesh([
                event(.nodeHealth, ["status": "degraded", "resources": ["checks": ["disk": "full"]]]), running,
            ]),
            all: 1,
            node: 1,
            tool: 0,
            line: "WARNING - pi is degraded: disk: full"
        ),
        Case(
            name: "failed",
            mesh: mesh([online, gaveUp]),
            all: 2,
            node: 2,
            tool: 2,
            line: "CRITICAL - pi/t has failed: no memory"
        ),
        Case(
            name: "unreachable",
            mesh: mesh([online, running, crashed], after: 40),
            all: 2,
            node: 2,
            tool: 2,
            line: "CRITICAL - pi is unreachable"
        ),
        Case(
            name: "in maintenance",
            mesh: mesh(
                [online, gaveUp, (.nodeMaintenance, "desk", ["node": "pi", "for_s": 3_600, "reason": "new disk"])],
                after: 40
            ),
            all: 0,
            node: 0,
            tool: 0,
            line: "OK - 1 node: 1 unreachable; 1 tool: 1 uncertain; 1 in maintenance"
        ),
        Case(
            name: "silent",
            mesh: mesh([event(.nodeJoined, nil), running], after: 400),
            all: 0,
            node: 1,
            tool: 1,
            line: "OK - 1 node: 1 silent; 1 tool: 1 running"
        ),
        Case(
            name: "left",
            mesh: mesh([online, running, event(.nodeLeft, ["reason": "shutdown"])]),
            all: 0,
            node: 2,
            tool: 2,
            line: "OK - 1 node: 1 left; 1 tool: 1 stopped"
        ),
        Case(
            name: "removed",
            mesh: mesh([online, running, event(.toolRemoved, ["tool": "t"])]),
            all: 0,
            node: 0,
            tool: 2,
            line: "OK - 1 node: 1 online; 0 tools"
        ),
    ]

    @Test(arguments: cases)
    func theExitCodeSaysHowBadItIs(_ one: Case) throws {
        let check = try StatusContent.mesh(one.mesh, node: nil, alerts: nil).check()
        #expect(check.trouble.exitCode == one.all && check.line == one.line)
        let named = try StatusContent.mesh(one.mesh, node: "pi", alerts: nil).check()
        #expect(named.trouble.exitCode == one.node, "\(named.line)")
        let node = try StatusArgument(text: "pi", tool: nil).subject(in: one.mesh)
        let tool = try StatusArgument(text: "pi/t", tool: nil).subject(in: one.mesh)
        for (subject, code) in [(node, one.node), (tool, one.tool)] {
            let check = StatusCheck(subject)
            #expect(check.trouble.exitCode == code, "\(check.line)")
            let word = ["OK", "WARNING", "CRITICAL"][Int(code)]
            #expect(check.line.hasPrefix("\(word) - pi"), "\(check.line)")
        }
    }

    @Test func nothingThatIsKnownIsNothingThatIsWell() throws {
        let mesh = Self.mesh([Self.online])
        let unknown = [
            StatusContent.mesh(MeshState(), node: nil, alerts: nil), .mesh(mesh, node: "x", alerts: nil),
            .unknown(.unknownNode("x", in: mesh)),
        ]
        for content in unknown {
            let failure = try #require(throws: CommandFailure.self) { try content.check() }
            #expect(failure.code == .unavailable)
        }
    }

    @Test func theWorstComesFirstAndManyAreCounted() throws {
        var events: [(EventType, String, EventData)] = []
        for number in 10..<40 { events.append((.toolCrashed, "n\(number)", ["tool": "t", "error": "e"])) }
        events.append(
            (
                .toolStopped, "z",
                ["tool": "t", "failed": true, "error": .string("a\n\u{1B}[2J" + String(repeating: "x", count: 5_000))]
            )
        )
        let check = try StatusContent.mesh(Self.mesh(events), node: nil, alerts: nil).check()
        #expect(check.line.hasPrefix("CRITICAL - z/t has failed: a\\u000a\\u001b[2Jxxx"), "\(check.line)")
        #expect(check.line.hasSuffix("; n16/t is backing off: e; and 23 more"), "\(check.line)")
        #expect(check.line.count < 500 && !check.line.contains("\n"))
    }
}
