import MeshEvents
import Testing

@testable import mesh_events

@Suite struct DurationArgumentTests {
    @Test(arguments: [
        ("90s", Duration.seconds(90)), ("10m", .seconds(600)), ("2h30m", .seconds(9_000)), ("1d", .seconds(86_400)),
        ("500ms", .milliseconds(500)), ("1.5h", .seconds(5_400)), ("0s", .zero), ("1m30s500ms", .milliseconds(90_500)),
    ])
    func readsWhatPeopleType(text: String, expected: Duration) {
        #expect(DurationArgument.parse(text) == expected)
    }

    @Test(arguments: [
        "", "10", "m", "10x", "-5m", "+5m", "5 m", "5m ", "1e3s", ".5h", "5.h", "1.2.3s", "٣m", "10M", "nan", "infs",
        "99999999999d", "m10", "10m5",
    ])
    func refusesEverythingElse(text: String) {
        #expect(DurationArgument.parse(text) == nil)
    }
}

@Suite struct TimeBoundTests {
    private let now = Timestamp(nanosecondsSinceEpoch: 1_000_000_000_000)

    @Test func aDurationIsThatLongAgo() throws {
        #expect(try TimeBound.parse("10s", option: "--since", now: now).nanosecondsSinceEpoch == 990_000_000_000)
    }

    @Test func aTimeIsItself() throws {
        let time = try TimeBound.parse("2026-11-24T10:04:34+01:00", option: "--since", now: now)
        #expect(time.description == "2026-11-24T09:04:34Z")
    }

    @Test(arguments: ["yesterday", "2026-11-24", "10x", "", "2026-13-01T00:00:00Z", "10"])
    func anythingElseIsAUsageErrorThatNamesTheOptionAndTheText(text: String) {
        let failure = #expect(throws: CommandFailure.self) { try TimeBound.parse(text, option: "--until", now: now) }
        #expect(failure?.code == .usage)
        #expect(failure?.message.contains("--until") == true)
        #expect(failure?.message.contains(text.debugDescription) == true)
    }
}
