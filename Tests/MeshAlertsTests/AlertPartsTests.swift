import MeshEvents
import TestSupport
import Testing

@testable import MeshAlerts

@Suite struct QuietHoursTests {
    private static func time(_ text: String) throws -> Timestamp { try Timestamp(rfc3339: text) }

    @Test(
        "the end of the hours, over midnight and when the clocks change",
        arguments: [
            ("22:00", "07:00", "UTC", "2026-01-10T23:30:30Z", "2026-01-11T07:00:00Z"),
            ("22:00", "07:00", "UTC", "2026-01-10T06:59:59Z", "2026-01-10T07:00:00Z"),
            ("22:00", "07:00", "UTC", "2026-01-10T07:00:00Z", nil),
            ("22:00", "07:00", "UTC", "2026-01-10T21:59:59Z", nil),
            ("22:00", "07:00", "UTC", "2026-01-10T22:00:00Z", "2026-01-11T07:00:00Z"),
            ("12:00", "13:30", "UTC", "2026-01-10T12:15:00.5Z", "2026-01-10T13:30:00Z"),
            ("12:00", "13:30", "UTC", "2026-01-10T14:15:00Z", nil),
            ("22:00", "07:00", "Europe/Berlin", "2026-01-10T22:30:00Z", "2026-01-11T06:00:00Z"),
            ("22:00", "07:00", "Europe/Berlin", "2026-03-28T22:30:00Z", "2026-03-29T05:00:00Z"),
            ("22:00", "07:00", "Europe/Berlin", "2026-10-24T21:30:00Z", "2026-10-25T06:00:00Z"),
        ]
    )
    func end(start: String, end: String, zone: String, time: String, expected: String?) throws {
        func minutes(_ text: String) -> Int { Int(text.prefix(2))! * 60 + Int(text.suffix(2))! }
        let hours = try #require(QuietHours(start: minutes(start), end: minutes(end), zone: zone))
        #expect(hours.end(of: try Self.time(time)) == (try expected.map { try Self.time($0) }))
    }

    @Test("hours that are none")
    func none() {
        #expect(QuietHours(start: 60, end: 60) == nil && QuietHours(start: -1, end: 60) == nil)
        #expect(
            QuietHours(start: 0, end: 1_440) == nil && QuietHours(start: 0, end: 60, zone: "Nowhere/Atlantis") == nil
        )
    }
}

@Suite struct PatternIndexTests {
    @Test("it finds the rules that match, as comparing each does", arguments: 0..<20 as Range<UInt64>)
    func finds(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        func token() -> String { ["a", "b", "c"].randomElement(using: &random) ?? "a" }
        var index = PatternIndex()
        var patterns: [EventPattern] = []
        for number in 0..<60 {
            var tokens = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                Int.random(in: 0..<3, using: &random) == 0 ? "*" : token()
            }
            if Int.random(in: 0..<4, using: &random) == 0 { tokens.append(">") }
            let pattern = try EventPattern(tokens.joined(separator: "."))
            patterns.append(pattern)
            index.insert(number, pattern)
        }
        for _ in 0..<200 {
            let type = try EventType(
                (0..<Int.random(in: 1...4, using: &random)).map { _ in token() }.joined(separator: ".")
            )
            #expect(index.rules(for: type) == patterns.indices.filter { patterns[$0].matches(type) }, "\(type)")
        }
    }
}

@Suite struct AlertTextTests {
    private static func alert(_ number: Int, _ status: Alert.Status = .firing, reason: String = "exit status 1")
        -> Alert
    {
        Alert(
            id: "a-\(number)",
            rule: "tool-down",
            group: AlertGroup([.init("tool", "whisper-\(number)"), .init("node", "pi")]),
            status: status,
            severity: .critical,
            since: Mesh.at(0),
            at: Mesh.at(240),
            count: 3,
            sequences: [7, 8, 9],
            reason: reason
        )
    }

    @Test("one alert, several, and what is over")
    func texts() {
        let one = AlertNotification(id: "x", alerts: [Self.alert(1)])
        #expect(one.title == "tool-down: whisper-1 on pi (3 times)")
        #expect(one.body == "exit status 1\nsince 2026-01-01T00:00:00Z, events 7, 8, 9")
        let over = AlertNotification(id: "x", alerts: [Self.alert(1, .resolved)])
        #expect(over.title == "over: tool-down: whisper-1 on pi" && over.isResolved)
        #expect(over.body.contains("from 2026-01-01T00:00:00Z to 2026-01-01T00:04:00Z"))
        let many = AlertNotification(id: "x", alerts: (1...12).map { Self.alert($0) })
        #expect(many.title == "tool-down: whisper-1 on pi (3 times), and 11 more" && many.severity == .critical)
        #expect(many.body.contains("tool-down: whisper-12 on pi"))
        let test = AlertNotification(id: "x", alerts: [Self.alert(1)], isTest: true)
        #expect(test.title.hasPrefix("test: "))
    }

    @Test("long texts are cut, and the rest is counted")
    func bounds() {
        let many = AlertNotification(
            id: "x",
            alerts: (1...400).map { Self.alert($0, reason: String(repeating: "é", count: 500)) },
            omitted: 3
        )
        #expect(many.title.count <= 200 && many.body.count <= 3_000)
        #expect(many.body.hasSuffix("more") && many.title.hasSuffix("and 402 more"))
    }

    @Test("what an event says comes without control characters, and cut")
    func harmless() {
        var desk = Desk(AlertRule(name: "x", patterns: ["user.x"], grouping: .fields(["who"])))
        let evil = "a\u{1b}]0;title\u{7}\r\nb\u{202e}" + String(repeating: "x", count: 100_000)
        desk.user("user.x", 0, ["who": .string(evil), "error": .string(evil)])
        let alert = desk.alerts[0]
        #expect(
            alert.group.labels[0].value.unicodeScalars.count <= AlertGroup.maximumValue
                && alert.reason.unicodeScalars.count <= 500
        )
        for text in [alert.group.labels[0].value, alert.reason] {
            #expect(!text.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x202e })
        }
    }
}

@Suite struct AlertEventTests {
    @Test("a report comes back from its event as it was")
    func roundTrip() throws {
        var desk = Desk(AlertRule(name: "x", patterns: ["user.x"], severity: .critical))
        desk.user("user.x", 0, ["error": "\"quoted\""])
        desk.pass(to: 1_000)
        #expect(desk.alerts.count == 2)
        for alert in desk.alerts {
            let event = try AlertState.Report(alert: alert, isSilenced: false, isExpired: false).event
            var read = try #require(Alert(event))
            read.at = alert.at
            #expect(read == alert)
        }
    }

    @Test(
        "an event that is no valid report is none",
        arguments: [
            #"{"id":"","rule":"x"}"#, #"{"id":"a b","rule":"x"}"#, #"{"id":"a","rule":"bad name"}"#, "{}", "null",
            #"{"id":5,"rule":"x"}"#, #"{"id":"a","rule":"x","group":5}"#,
        ]
    )
    func invalid(json: String) throws {
        #expect(Alert(Event(.alertFired, data: try EventData(json: json))) == nil)
    }

    @Test("the state of an alert is read as it was written", arguments: 0..<30 as Range<UInt64>)
    func savedState(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var desk = Desk(AlertRule(name: "x", patterns: ["user.x"], cause: .events(count: 3, within: .seconds(50))))
        for number in 0..<Int.random(in: 1...9, using: &random) {
            desk.user("user.x", Double(number), ["error": "e\(number)"])
        }
        for (group, state) in desk.book.states["x"] ?? [:] {
            let key = AlertKey(rule: "x", group: group)
            #expect(AlertState(json: state.json(key)) == state && AlertKey(json: state.json(key)) == key)
        }
    }

    @Test("keys of groups are short, valid, and differ")
    func keys() {
        let groups = [
            [], [AlertGroup.Label("node", "a.b")], [.init("node", "a"), .init("x", "b")], [.init("node", "a/x=b")],
            [.init("node", String(repeating: "é", count: 250))],
            [.init("node", String(repeating: "é", count: 249) + "x")],
            [.init("node", "*")], [.init("node", ">")], [.init("node", "")],
        ].map { StateKeys.state(AlertKey(rule: "r", group: AlertGroup($0))) }
        #expect(Set(groups).count == groups.count)
        for key in groups {
            #expect(key.utf8.count < 300)
            #expect(
                key.utf8.allSatisfy {
                    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=/.".utf8.contains($0)
                },
                "\(key)"
            )
            #expect(!key.contains("..") && !key.hasSuffix("."))
        }
    }
}
