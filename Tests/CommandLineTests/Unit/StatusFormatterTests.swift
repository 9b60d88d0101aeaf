import Foundation
import MeshEvents
import MeshLogging
import MeshMonitoring
import Testing

@testable import mesh_events

@Suite struct StatusFormatterTests {
    private let start = Timestamp(nanosecondsSinceEpoch: 1_800_000_000_000_000_000)

    private func state(_ events: [(Double, EventType, String, EventData)], at second: Double) -> MeshState {
        var state = MeshState()
        for (second, type, node, data) in events {
            state.apply(Event(type, node: node, timestamp: start.adding(.seconds(second)), data: data))
        }
        state.advance(to: start.adding(.seconds(second)))
        return state
    }

    private var mesh: MeshState {
        state(
            [
                (0, .nodeJoined, "pi", ["capabilities": ["tools": 2]]),
                (1, .toolInstalled, "pi", ["tool": "whisper", "version": "v1.0"]),
                (2, .toolStarted, "pi", ["tool": "whisper"]),
                (3, .toolCrashed, "pi", ["tool": "flaky", "error": "exited with code 3", "restart_count": 2]),
                (4, .toolRemoved, "pi", ["tool": "old"]),
                (
                    5, .toolStopped, "pi",
                    ["tool": "broken", "reason": "gave up after 5 restarts", "failed": true, "error": "no memory"]
                ),
                (100, .nodeHealth, "pi", ["status": "degraded", "resources": ["checks": ["disk": "full"]]]),
                (
                    10, .nodeHealth, "lab",
                    ["status": "online", "resources": ["cpu": 0.5, "load": [0.1, 0.2], "x": [:]]]
                ),
                (11, .toolStarted, "lab", ["tool": "train"]),
                (0, .nodeJoined, "old", nil), (90, .nodeLeft, "old", ["reason": "shutdown"]),
            ],
            at: 101
        )
    }

    @Test func toolsThatRunAndDoNotWorkAreNamed() {
        let reason = "it answered 500\u{1B}[31m: \u{202E}no"
        let state = state(
            [
                (0, .toolStarted, "pi", ["tool": "a"]),
                (0, .toolStarted, "pi", ["tool": "b", "ready": false]),
                (0, .toolStarted, "pi", ["tool": "c"]),
                (4, .toolUnhealthy, "pi", ["tool": "c", "reason": .string(reason)]),
            ],
            at: 10
        )
        let lines = StatusFormatter(isColored: false, width: nil).lines(state)
        #expect(
            lines.suffix(4) == [
                "NODE  TOOL  VERSION  STATE               SINCE    RESTARTS  DETAILS",
                #"pi    c     -        unhealthy           10s ago  0         unhealthy 6s ago: it answered 500\u001b[31m: \u202eno"#,
                "pi    a     -        running             10s ago  0",
                "pi    b     -        running, not ready  10s ago  0",
            ]
        )
    }

    @Test func whatAToolWaitsForAndItsNextRunAreNamed() {
        func listed(_ name: String, _ state: String, _ more: [String: JSONValue]) -> JSONValue {
            JSONValue(["name": .string(name), "state": .string(state)].merging(more) { $1 })
        }
        let later = JSONValue.string(start.adding(.seconds(7_500)).description)
        let tools: [JSONValue] = [
            listed("app", "installed", ["status": "waiting for db"]),
            listed("api", "failed", ["status": "waiting for db", "error": "exited with code 3"]),
            listed("says", "running", ["status": "model loaded"]),
            listed("tick", "stopped", ["next": later]),
        ]
        let state = state(
            [(10, .nodeHealth, "pi", ["status": "online", "resources": [:], "tools": .array(tools)])],
            at: 10
        )
        let details = Dictionary(
            uniqueKeysWithValues: state.nodes.flatMap(\.tools).map {
                ($0.name, StatusFormatter.details($0, now: state.now))
            }
        )
        #expect(details["app"] == "waiting for db" && details["says"] == "")
        #expect(details["api"] == "waiting for db; exited with code 3")
        #expect(details["tick"] == "next run in 2h 4m")
    }

    @Test func aPersonSeesHowAllIs() {
        let lines = StatusFormatter(isColored: false, width: nil).lines(mesh)
        #expect(
            lines == [
                "3 nodes: 1 degraded, 1 unreachable, 1 left; 4 tools: 1 running, 1 failed, 1 backing off, 1 uncertain",
                "",
                "NODE  STATUS       SEEN     JOINED    TOOLS  DETAILS",
                "lab   unreachable  90s ago  -         0/1    cpu 50 %, load 0.1 0.2",
                "pi    degraded     1s ago   101s ago  1/3    disk: full",
                "old   left         11s ago  101s ago  -      shutdown",
                "",
                "NODE  TOOL     VERSION  STATE        SINCE    RESTARTS  DETAILS",
                "pi    broken   -        failed       96s ago  0         gave up after 5 restarts: no memory",
                "lab   train    -        running?     90s ago  0",
                "pi    flaky    -        backing off  98s ago  1         exited with code 3",
                "pi    whisper  v1.0     running      99s ago  0",
            ]
        )
    }

    @Test func whatIsInTroubleComesFirstThenTheNames() {
        let crash: EventData = ["tool": "t", "error": "no", "restart_count": 1]
        let gaveUp: EventData = ["tool": "t", "reason": "gave up after 5 restarts", "failed": true]
        let health: EventData = ["status": "online", "resources": [:]]
        let ill: EventData = ["status": "degraded", "resources": [:]]
        let state = state(
            [
                (100, .nodeHealth, "z-failed", health), (100, .toolStopped, "z-failed", gaveUp),
                (100, .toolStarted, "z-failed", ["tool": "a"]),
                (100, .nodeHealth, "y-crashing", health), (100, .toolCrashed, "y-crashing", crash),
                (0, .nodeHealth, "x-away", health), (0, .toolStarted, "x-away", ["tool": "a"]),
                (100, .nodeHealth, "w-ill", ill), (100, .nodeHealth, "b", health), (100, .nodeHealth, "a", health),
                (100, .toolStopped, "a", ["tool": "t", "reason": "stopped"]), (100, .nodeLeft, "c", nil),
            ],
            at: 101
        )
        #expect(
            state.byTrouble.map(\.node.name) == ["x-away", "z-failed", "w-ill", "y-crashing", "a", "b", "c"]
        )
        let lines = StatusFormatter(isColored: false, width: nil).lines(state)
        let tools = lines.drop { !$0.hasPrefix("NODE        TOOL") }.dropFirst().map { $0.split(separator: " ")[0...1] }
        #expect(
            tools.map { $0.joined(separator: "/") } == ["z-failed/t", "x-away/a", "y-crashing/t", "a/t", "z-failed/a"]
        )
    }

    @Test func maintenanceIsSaidAndIsNoTrouble() {
        let state = state(
            [
                (0, .nodeHealth, "z-away", ["status": "online", "resources": ["interval_s": 1]]),
                (0, .toolStarted, "z-away", ["tool": "a"]),
                (90, .nodeHealth, "a", ["status": "online", "resources": [:]]),
                (95, .nodeMaintenance, "desk", ["node": "z-away", "for_s": 600, "reason": "new disk"]),
            ],
            at: 100
        )
        let utc = LocalTime { seconds in
            var (seconds, result) = (seconds, tm())
            gmtime_r(&seconds, &result)
            return result
        }
        let lines = StatusFormatter(isColored: false, width: nil, time: utc).lines(state)
        #expect(state.byTrouble.map(\.node.name) == ["a", "z-away"])
        #expect(lines[4].hasSuffix("  0/1    in maintenance until 08:11: new disk"), "\(lines)")
        #expect(utc.short(start, now: start) == "08:00")
        #expect(utc.short(start, now: start.adding(.seconds(86_400))) == "2027-01-15 08:00")
    }

    @Test func onANarrowTerminalLongNamesMakeRoomForWhatIsWrong() throws {
        let name = String(repeating: "long-name-", count: 3)
        let crash: EventData = ["tool": .string(name), "error": "no such device", "restart_count": 1]
        let installed: EventData = ["tool": .string(name), "version": "1.0.0-beta.12345678901234567890"]
        let state = state([(0, .toolInstalled, name, installed), (1, .toolCrashed, name, crash)], at: 2)
        let lines = StatusFormatter(isColored: false, width: 80).lines(state)
        let row = try #require(lines.last)
        #expect(row.contains("long-nam…  long-name…  1.0.0-bet…  "), "\(row)")
        #expect(row.hasSuffix("no such device") && TextWidth.columns(of: row) <= 80, "\(row)")
        // The node itself has room.
        #expect(lines[3].hasPrefix(name + "  "), "\(lines[3])")
    }

    @Test func coloursDoNotMoveTheColumns() {
        let plain = StatusFormatter(isColored: false, width: nil).lines(mesh)
        let colored = StatusFormatter(isColored: true, width: nil).lines(mesh)
        #expect(colored != plain)
        #expect(colored.map { $0.replacing(/\u{1B}\[[0-9;]*m/, with: "") } == plain)
    }

    @Test func anEmptyMeshSaysHowToBegin() {
        let text = StatusFormatter(isColored: false, width: nil)
        #expect(text.lines(MeshState()) == ["no node or tool is known yet; `mesh-events serve` starts a node"])
        #expect(text.lines(MeshState(), node: "a\u{1B}b").first?.contains("\u{1B}") == false)
    }

    @Test(arguments: [1, 7, 20, 40, 80])
    func linesFitTheTerminal(width: Int) {
        for line in StatusFormatter(isColored: false, width: width).lines(mesh).dropFirst() {
            #expect(TextWidth.columns(of: line) <= width, "\(line)")
        }
    }

    @Test func whatOthersWriteIsHarmless() {
        let evil = "a\u{1B}[2J\u{202E}\n" + String(repeating: "x", count: 5_000)
        let data = JSONValue(evil)
        let state = state(
            [
                (0, .nodeHealth, evil, ["status": data, "resources": ["checks": [evil: data], evil: data]]),
                (0, .nodeHealth, "b", ["status": "online", "resources": [evil: data, "list": [data]]]),
                (0, .toolInstalled, evil, ["tool": data, "version": data]),
                (1, .toolCrashed, evil, ["tool": data, "error": data]),
                (1, .nodeLeft, "c", ["reason": data]),
            ],
            at: 2
        )
        for line in StatusFormatter(isColored: false, width: 200).lines(state) {
            #expect(!line.unicodeScalars.contains { $0.isHarmful }, "\(line)")
            #expect(line.count <= 200)
        }
    }

    @Test func agesAreShort() {
        func age(_ seconds: Double) -> String { AgeFormatter.text(start, now: start.adding(.seconds(seconds))) }
        #expect(
            [-5, 0, 1, 119, 120, 7_199, 7_200, 172_799, 172_800].map { age($0) } == [
                "now", "now", "1s ago", "119s ago", "2m ago", "119m ago", "2h ago", "47h ago", "2d ago",
            ]
        )
        #expect(AgeFormatter.text(nil, now: start) == "-")
        #expect(
            [-1, 0, 0.9, 59, 60, 61, 3_600, 3_665, 86_399, 86_400, 90_001, 1e9].map { AgeFormatter.span(.seconds($0)) }
                == [
                    "0s", "0s", "0s", "59s", "1m", "1m 1s", "1h", "1h 1m", "23h 59m", "1d", "1d 1h", "11574d 1h",
                ]
        )
    }

    @Test func whatDoesNotFitIsCounted() {
        let lines = (1...10).map { "\($0)" }
        #expect(StatusPrinter.fitting(lines, rows: 10) == lines)
        #expect(StatusPrinter.fitting(lines, rows: nil) == lines)
        #expect(StatusPrinter.fitting(lines, rows: 4) == ["1", "2", "3", "… and 7 more lines"])
    }
}
