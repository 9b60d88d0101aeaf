import MeshEvents
import Testing

@testable import MeshAlerts

@Suite struct AlertBookTests {
    private static let down = AlertRule(
        name: "down",
        patterns: [.toolCrashed],
        cause: .events(count: 3, within: .seconds(600)),
        resolve: [.toolStarted]
    )

    @Test("three events within the time fire once, further ones count, and the event that ends it resolves")
    func countsWithinTheTime() {
        var desk = Desk(Self.down)
        desk.crash(0)
        desk.crash(100)
        desk.crash("other", 150)
        desk.crash(200, node: "attic")
        #expect(desk.lines.isEmpty)
        desk.crash(599)
        #expect(desk.lines == ["599: fires down whisper on pi 3"])
        desk.crash(700)
        desk.started(800)
        #expect(desk.lines.last == "800: over down whisper on pi 4")
        #expect(desk.alerts.map(\.sequences) == [[1_000, 2_000, 5_000], [1_000, 2_000, 5_000, 6_000]])
        #expect(Set(desk.alerts.map(\.id)).count == 1 && desk.alerts[0].since == Mesh.at(0))
        #expect(desk.alerts[0].reason == "exit status 1")
    }

    @Test("events that are further apart than the time do not add up")
    func forgetsWhatIsTooOld() {
        var desk = Desk(Self.down)
        for second in stride(from: 0.0, to: 10_000, by: 301) { desk.crash(second) }
        #expect(desk.lines.isEmpty)
        desk.crash(9_999)
        #expect(desk.lines.count == 1)
    }

    @Test("an end before it fires begins to count anew")
    func anEndBeginsAnew() {
        var desk = Desk(Self.down)
        desk.crash(0)
        desk.crash(1)
        desk.started(2)
        desk.crash(3)
        desk.crash(4)
        #expect(desk.lines.isEmpty)
    }

    @Test("without an end a firing is over when none comes for the time, and the next one has another id")
    func expires() {
        var desk = Desk(AlertRule(name: "crash", patterns: [.toolCrashed]))
        desk.crash(0)
        desk.crash(200)
        desk.pass(to: 499)
        #expect(desk.lines == ["0: fires crash whisper on pi 1"])
        desk.pass(to: 500)
        #expect(desk.lines.last == "500: expired crash whisper on pi 2")
        desk.crash(501)
        #expect(desk.lines.count == 3 && desk.alerts[2].id != desk.alerts[0].id)
    }

    @Test("a state fires when it has lasted, and ends with an event that does not say so")
    func aStateHasToLast() throws {
        let filter = try EventFilter("resources.cpu > 0.95")
        var desk = Desk(
            AlertRule(name: "hot", patterns: [.nodeHealth], filter: filter, cause: .state(for: .seconds(300)))
        )
        func health(_ cpu: Double) -> Event {
            .nodeHealth(node: "pi", status: "online", resources: ["cpu": JSONValue(cpu)])
        }
        for second in stride(from: 0.0, through: 290, by: 10) { desk.take(desk.mesh.store(health(0.97), second)) }
        desk.take(desk.mesh.store(health(0.5), 299))
        desk.pass(to: 700)
        #expect(desk.lines.isEmpty)
        for second in stride(from: 1_000.0, through: 1_310, by: 10) { desk.take(desk.mesh.store(health(0.99), second)) }
        #expect(desk.lines == ["1300: fires hot pi 30"])
        #expect(desk.alerts[0].reason == "resources.cpu 0.99" && desk.alerts[0].since == Mesh.at(1_000))
        desk.take(desk.mesh.store(health(0.2), 1_400))
        #expect(desk.lines.last == "1400: over hot pi 32")
    }

    @Test("a state of which nothing was heard for half its time does not fire, one with an end of its own does")
    func aStateNeedsConfirmation() throws {
        let filter = try EventFilter("resources.cpu > 0.95")
        var hot = Desk(
            AlertRule(name: "hot", patterns: [.nodeHealth], filter: filter, cause: .state(for: .seconds(300)))
        )
        hot.take(hot.mesh.store(.nodeHealth(node: "pi", status: "online", resources: ["cpu": 1]), 0))
        hot.pass(to: 3_000)
        #expect(hot.lines.isEmpty)
        var away = Desk(
            AlertRule(
                name: "away",
                patterns: [.nodeUnreachable],
                cause: .state(for: .seconds(600)),
                resolve: [.nodeRecovered]
            )
        )
        away.take(away.mesh.store(Event("node.unreachable", node: "keeper", data: ["node": "attic"]), 0))
        away.pass(to: 599)
        #expect(away.lines.isEmpty)
        away.pass(to: 601)
        #expect(away.lines == ["600: fires away attic 1"])
        away.take(away.mesh.store(Event("node.recovered", node: "keeper", data: ["node": "cellar"]), 700))
        #expect(away.lines.count == 1)
        away.take(away.mesh.store(Event("node.recovered", node: "keeper", data: ["node": "attic"]), 701))
        #expect(away.lines.last == "701: over away attic 1")
    }

    @Test("what is missing fires once, at its time, and the next event ends it")
    func missing() throws {
        let rule = AlertRule(
            name: "no-backup",
            patterns: ["user.backup.done"],
            filter: try EventFilter("ok = true"),
            cause: .silence(.seconds(90_000))
        )
        var desk = Desk(rule)
        desk.pass(to: 89_999)
        desk.user("user.backup.done", 89_999, ["ok": true])
        desk.user("user.backup.done", 100_000, ["ok": false])
        desk.pass(to: 179_998)
        #expect(desk.lines.isEmpty)
        desk.pass(to: 179_999)
        desk.pass(to: 500_000)
        #expect(desk.lines == ["179999: fires no-backup 0"])
        #expect(desk.alerts[0].since == Mesh.at(89_999) && desk.alerts[0].reason == "none for 1d1h")
        desk.user("user.backup.done", 500_001, ["ok": true])
        #expect(desk.lines.last == "500001: over no-backup 0")
        desk.pass(to: 590_001)
        #expect(desk.lines.last == "590001: fires no-backup 0" && desk.alerts[2].id != desk.alerts[0].id)
    }

    @Test("an event from before the rule counts for what is missing")
    func missingBegins() {
        let rule = AlertRule(name: "beat", patterns: ["user.beat"], cause: .silence(.seconds(60)))
        var desk = Desk(rule)
        #expect(desk.book.silenceRules().map(\.name) == ["beat"])
        desk.book.seen("beat", at: Mesh.at(-3_600), sequence: 4)
        #expect(desk.book.silenceRules().isEmpty)
        desk.pass(to: 0)
        #expect(desk.lines == ["-3540: fires beat 0"])
    }

    @Test("what is missing is missed by each value of a field that was seen")
    func missingByField() {
        let rule = AlertRule(
            name: "beat",
            patterns: ["user.beat"],
            cause: .silence(.seconds(60)),
            grouping: .fields(["host"])
        )
        var desk = Desk(rule)
        desk.user("user.beat", 0, ["host": "a"])
        desk.user("user.beat", 30, ["host": "b"])
        desk.user("user.beat", 59, ["host": "a"])
        desk.pass(to: 100)
        #expect(desk.lines == ["90: fires beat host b 0"])
    }

    @Test("it is told again at its times until it is over or acknowledged")
    func toldAgain() throws {
        var rule = Self.down
        rule.cause = .events(count: 1, within: .seconds(600))
        rule.repetition = .seconds(3_600)
        var desk = Desk(rule)
        desk.crash(0)
        desk.pass(to: 8_000)
        #expect(
            desk.lines == [
                "0: fires down whisper on pi 1", "3600: again down whisper on pi 1", "7200: again down whisper on pi 1",
            ]
        )
        desk.take(desk.mesh.store(try Event(AlertSilenced(rule: "down", acknowledgedID: desk.alerts[0].id)), 8_001))
        desk.pass(to: 20_000)
        desk.started(20_001)
        desk.crash(20_002)
        #expect(desk.lines.suffix(2) == ["20001: over down whisper on pi 1", "20002: fires down whisper on pi 1"])
        desk.pass(to: 23_602)
        #expect(desk.lines.last == "23602: again down whisper on pi 1")
    }

    @Test("silenced alerts are reported as such; what fires still is told at the end of the silence")
    func silences() throws {
        var rule = Self.down
        rule.cause = .events(count: 1, within: .seconds(600))
        var desk = Desk(rule)
        let group: EventData = ["tool": "whisper"]
        desk.take(
            desk.mesh.store(try Event(AlertSilenced(rule: "down", group: group, forSeconds: 3_600, by: "ada")), 0)
        )
        desk.crash(1)
        desk.crash("other", 2)
        desk.crash(3, node: "attic")
        desk.started(4, node: "attic")
        #expect(
            desk.lines == [
                "1: fires down whisper on pi 1 (silenced)", "2: fires down other on pi 1",
                "3: fires down whisper on attic 1 (silenced)", "4: over down whisper on attic 1 (silenced)",
            ]
        )
        desk.pass(to: 3_599)
        #expect(desk.lines.count == 4 && desk.book.silences.count == 1)
        desk.pass(to: 3_600)
        #expect(desk.lines.last == "3600: again down whisper on pi 1" && desk.lines.count == 5)
        #expect(desk.book.silences.isEmpty)
    }

    @Test("a silence can be ended, and what fires is told then")
    func aSilenceEnds() throws {
        var rule = Self.down
        rule.cause = .events(count: 1, within: .seconds(600))
        var desk = Desk(rule)
        desk.take(desk.mesh.store(try Event(AlertSilenced(forSeconds: 3_600)), 0))
        desk.crash(1)
        desk.take(desk.mesh.store(try Event(AlertSilenced(forSeconds: 0)), 10))
        desk.pass(to: 11)
        #expect(desk.lines.count == 2 && desk.lines.last?.hasSuffix("again down whisper on pi 1") == true)
    }

    @Test("groups of fields, of one, and of what the event is about")
    func groups() {
        var desk = Desk(
            AlertRule(name: "job", patterns: ["user.job.failed"], grouping: .fields(["job.name", "node"])),
            AlertRule(name: "any", patterns: ["user.>"], grouping: .fields([]))
        )
        desk.user("user.job.failed", 0, ["job": ["name": "train\u{1b}[31m"]])
        desk.user("user.job.failed", 1, ["job": 5])
        #expect(
            desk.lines == [
                "0: fires job job.name train\\u001b[31m, pi 1", "0: fires any 1", "1: fires job job.name , pi 1",
            ]
        )
    }

    @Test("events about alerts make none fire")
    func noLoops() {
        var desk = Desk(AlertRule(name: "all", patterns: [.all], grouping: .fields(["type"])))
        desk.user("user.x", 0)
        #expect(desk.lines == ["0: fires all type user.x 1"])
    }

    @Test("more groups than there is room for belong to one alert; idle ones make room")
    func manyGroups() {
        let rule = AlertRule(
            name: "job",
            patterns: ["user.job"],
            cause: .events(count: 2, within: .seconds(60)),
            resolve: ["user.end"],
            grouping: .fields(["name"])
        )
        var desk = Desk(rule)
        for number in 0..<AlertBook.mostGroups { desk.user("user.job", 0, ["name": JSONValue(number)]) }
        desk.user("user.job", 1, ["name": "new"])
        desk.user("user.job", 2, ["name": "new"])
        #expect(desk.lines == ["2: fires job name new 2"] && desk.book.states["job"]?.count == AlertBook.mostGroups)
        for number in 1..<AlertBook.mostGroups {
            for _ in 0..<2 { desk.user("user.job", 3, ["name": .string("n\(number)")]) }
        }
        #expect(desk.lines.count == AlertBook.mostGroups)
        for name in ["x", "y"] { desk.user("user.job", 4, ["name": .string(name)]) }
        #expect(desk.lines.last == "4: fires job name … 2" && desk.lines.count == AlertBook.mostGroups + 1)
        #expect(desk.book.states["job"]?.count == AlertBook.mostGroups + 1)
    }

    @Test("ten thousand rules whose pattern does not match make an event no dearer")
    func manyRules() {
        func cost(_ rules: Int) -> Duration {
            let others = (0..<rules).map {
                AlertRule(name: "r\($0)", patterns: [.type(EventType(stringLiteral: "user.other.r\($0)"))])
            }
            var desk = Desk(rules: others + [AlertRule(name: "crash", patterns: [.toolCrashed])])
            let events = (0..<2_000).map {
                desk.mesh.user(EventType(stringLiteral: "user.job.n\($0 % 50)"), Double($0))
            }
            var best = Duration.seconds(100)
            for _ in 0..<5 {
                var book = desk.book
                best = min(best, ContinuousClock().measure { for event in events { book.take(event) } })
            }
            return best / events.count
        }
        let (few, many) = (cost(10), cost(10_000))
        print("alerts: \(few) an event with 10 rules, \(many) with 10 000")
        #expect(many < few * 3)
    }

    @Test("rules that are replaced keep the alerts of the same name, and drop the others")
    func otherRules() {
        var rule = Self.down
        rule.cause = .events(count: 1, within: .seconds(600))
        var second = rule
        second.name = "gone"
        var desk = Desk(rule, second)
        desk.crash(0)
        desk.book.use([rule], now: Mesh.at(1))
        desk.started(2)
        #expect(
            desk.lines == [
                "0: fires down whisper on pi 1", "0: fires gone whisper on pi 1", "2: over down whisper on pi 1",
            ]
        )
        #expect(desk.book.states["gone"] == nil)
    }
}
