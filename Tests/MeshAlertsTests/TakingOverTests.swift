import MeshEvents
import TestSupport
import Testing

@testable import MeshAlerts

/// Readers that take over with an older state, at any point, make no report twice and forget none.
@Suite struct TakingOverTests {
    private static func rules() throws -> [AlertRule] {
        [
            AlertRule(
                name: "down",
                patterns: [.toolCrashed],
                cause: .events(count: 2, within: .seconds(30)),
                resolve: [.toolStarted],
                repetition: .seconds(60)
            ),
            AlertRule(name: "crash", patterns: [.toolCrashed], cause: .events(count: 1, within: .seconds(10))),
            AlertRule(name: "beat", patterns: ["user.beat"], cause: .silence(.seconds(20))),
            AlertRule(
                name: "hot",
                patterns: ["user.heat"],
                filter: try EventFilter("c > 5"),
                cause: .state(for: .seconds(15))
            ),
        ]
    }

    @Test(
        "the reports of readers that are killed anywhere are those of one that lives",
        arguments: 0..<60 as Range<UInt64>
    )
    func takesOver(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var single = Desk(rules: try Self.rules())
        var others = Relay(try Self.rules())
        var time = 0.0
        for _ in 0..<120 {
            time += Double.random(in: 0...8, using: &random)
            let event: Event =
                switch Int.random(in: 0..<12, using: &random) {
                case 0...4:
                    .toolCrashed(
                        node: "pi",
                        tool: ["a", "b"].randomElement(using: &random) ?? "a",
                        error: "e",
                        restartCount: 1
                    )
                case 5...6: .toolStarted(node: "pi", tool: ["a", "b"].randomElement(using: &random) ?? "a")
                case 7...8: Event("user.beat")
                case 9...10: Event("user.heat", data: ["c": JSONValue(Int.random(in: 0...10, using: &random))])
                default: try Event(AlertSilenced(rule: "crash", forSeconds: 20))
                }
            single.pass(to: time)
            single.take(single.mesh.store(event, time))
            others.pass(to: time, &random)
            others.take(event, time, &random)
        }
        single.pass(to: time + 200)
        others.pass(to: time + 200, &random)
        let expected = single.alerts.map { Relay.text($0) }
        #expect(others.reports.count == Set(others.reports).count)
        #expect(Set(others.reports).subtracting(expected).sorted() == [])
        #expect(Set(expected).subtracting(others.reports).sorted() == [])
        // Of each firing the end comes behind the beginning.
        for (place, report) in others.reports.enumerated() where report.hasPrefix("resolved") {
            let id = report.split(separator: " ")[1]
            #expect(others.reports[..<place].contains { $0.hasPrefix("firing \(id)") })
        }
    }

    /// Readers one after the other: each begins with what was saved last, and the events behind it.
    private struct Relay {
        private var mesh = Mesh()
        private var book = AlertBook()
        private let rules: [AlertRule]
        private var saved: (states: [AlertKey: AlertState], silences: [AlertSilence], position: UInt64) = ([:], [], 0)
        private(set) var reports: [String] = []

        init(_ rules: [AlertRule]) {
            self.rules = rules
            book.use(rules, now: Mesh.start)
            save()
        }

        static func text(_ alert: Alert) -> String {
            "\(alert.status.rawValue) \(alert.id) \(alert.rule) \(alert.repetition) \(alert.count)"
        }

        mutating func take(_ event: Event, _ seconds: Double, _ random: inout SeededGenerator) {
            book.take(mesh.store(event, seconds))
            mayBeKilled(seconds, &random)
            drain(seconds, &random)
        }

        mutating func pass(to seconds: Double, _ random: inout SeededGenerator) {
            // One that takes over looks again at what its predecessor has looked at.
            var rounds = 0
            while let due = book.nextDeadline, due <= Mesh.at(seconds), rounds < 1_000 {
                rounds += 1
                book.advance(to: due)
                let now = due.duration(since: Mesh.start) / .seconds(1)
                mayBeKilled(now, &random)
                drain(now, &random)
            }
            book.advance(to: Mesh.at(seconds))
            drain(seconds, &random)
        }

        private mutating func drain(_ seconds: Double, _ random: inout SeededGenerator) {
            while let (key, report) = book.reports(1).first {
                // Stored once, however often it is sent.
                let text = Self.text(report.alert)
                if !reports.contains(text) {
                    reports.append(text)
                    if let event = try? report.event {
                        let stored = mesh.report(event, Mesh.at(seconds))
                        // Killed before it knows that it is stored.
                        if mayBeKilled(seconds, &random) { continue }
                        book.take(stored)
                    }
                } else {
                    book.stored(key, report.alert.identity, at: Mesh.at(seconds))
                }
                mayBeKilled(seconds, &random)
            }
            if Int.random(in: 0..<4, using: &random) == 0 { save() }
        }

        private mutating func save() {
            var states: [AlertKey: AlertState] = [:]
            for (rule, groups) in book.states {
                for (group, state) in groups {
                    let key = AlertKey(rule: rule, group: group)
                    // As it is written and read.
                    states[key] = AlertState(json: state.json(key))
                }
            }
            saved = (states, book.silences.compactMap { AlertSilence(json: $0.json) }, mesh.sequence)
        }

        @discardableResult
        private mutating func mayBeKilled(_ seconds: Double, _ random: inout SeededGenerator) -> Bool {
            guard Int.random(in: 0..<6, using: &random) == 0 else { return false }
            book = AlertBook()
            book.restore(saved.states, silences: saved.silences)
            book.use(rules, now: Mesh.at(seconds))
            for stored in mesh.events where stored.sequence > saved.position {
                // The time passes for it as for its predecessor: what fell due in between is in the stream already.
                book.take(stored)
            }
            return true
        }
    }
}
