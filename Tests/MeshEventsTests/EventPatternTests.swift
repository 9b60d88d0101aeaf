import MeshEvents
import Testing

@Suite struct EventPatternTests {
    @Test(arguments: [
        "", "events", "events.", "events..", "events.>.x", ">.x", ".tool", "tool.", "to*", "events.to*", "events.>>",
        "events.**", "a b", "events.a b", "events.a\nb", "a..b", "events.a..b", "events.a.", "events..tool.*",
        "events." + String(repeating: "x", count: 201), String(repeating: "x", count: 201),
    ]) func `an invalid pattern is refused, and a literal of it is kept until it is used`(string: String) throws {
        let error = try #require(throws: MeshEventsError.self) { try EventPattern(string) }
        #expect(error.code == .invalidPattern)
        let literal = EventPattern(stringLiteral: string)
        #expect(literal.subject == string)
        #expect(throws: MeshEventsError.self) { try literal.validate() }
        #expect(!literal.matches(subject: string))
    }

    @Test(arguments: ["events.>", "events.*", "events.tool.*", "events.*.crashed", "events.*.>", "events.user.日本.>"])
    func `a valid pattern is kept as it is`(string: String) throws {
        let pattern = try EventPattern(string)
        try pattern.validate()
        #expect(pattern.subject == string)
        #expect(pattern == EventPattern(stringLiteral: string))
    }

    @Test(arguments: [">", "*", "tool.*", "*.crashed", "*.>", "user.日本.>", "tool.crashed", "eventsx.a", "Events.a"])
    func `the prefix is optional and means the same`(short: String) throws {
        let full = "events." + short
        let spellings = [
            try EventPattern(short), try EventPattern(full), EventPattern(stringLiteral: short),
            EventPattern(stringLiteral: full),
        ]
        #expect(Set(spellings).count == 1)
        for pattern in spellings {
            try pattern.validate()
            #expect(pattern == spellings[0])
            #expect(pattern.subject == full)
            #expect("\(pattern)" == full)
        }
    }

    @Test func `types that begin with the prefix need it twice`() throws {
        #expect(EventPattern(type: "events.x") == "events.events.x")
        #expect(EventPattern(type: "events.x") != "events.x")
        #expect(EventPattern(type: "x") == "events.x")
    }

    @Test func `an invalid literal without the prefix names its rule`() {
        let error = #expect(throws: MeshEventsError.self) { try ("tool.*." as EventPattern).validate() }
        #expect(error?.message.contains("'tool.*.'") == true)
        #expect(error?.message.contains("empty token") == true)
    }

    @Test func `every system event's type has a pattern of its name`() throws {
        let named: [(EventPattern, EventType)] = [
            (.toolInstalled, .toolInstalled), (.toolConfigured, .toolConfigured), (.toolStarted, .toolStarted),
            (.toolStopped, .toolStopped), (.toolCrashed, .toolCrashed), (.toolRemoved, .toolRemoved),
            (.toolControlled, .toolControlled),
            (.nodeJoined, .nodeJoined), (.nodeLeft, .nodeLeft), (.nodeHealth, .nodeHealth),
            (.nodeUnreachable, .nodeUnreachable), (.nodeRecovered, .nodeRecovered),
            (.nodeForgotten, .nodeForgotten), (.nodeMaintenance, .nodeMaintenance),
            (.toolFinished, .toolFinished), (.toolSkipped, .toolSkipped),
        ]
        for (pattern, type) in named {
            try pattern.validate()
            #expect(pattern == .type(type))
        }
        #expect(EventPattern.all == ">")
        #expect(EventPattern.allTools == "tool.>")
        #expect(EventPattern.allNodes == "node.>")
        #expect(EventPattern.allUser == "user.>")
    }

    @Test func `a type's pattern matches this type only`() {
        let pattern = EventPattern(type: .toolCrashed)
        #expect(pattern.subject == "events.tool.crashed")
        #expect(pattern.matches(.toolCrashed))
        #expect(!pattern.matches(.toolStarted))
        #expect(!pattern.matches("tool.crashed.twice"))
        #expect(throws: MeshEventsError.self) { try EventPattern(type: "tool..x").validate() }
        #expect(throws: MeshEventsError.self) { try EventPattern(type: "tool.*").validate() }
        #expect(EventPattern.all.matches(.nodeLeft))
    }

    /// NATS's rules, token by token.
    private func naiveMatch(_ pattern: String, _ subject: String) -> Bool {
        let wanted = pattern.split(separator: ".", omittingEmptySubsequences: false)
        let tokens = subject.split(separator: ".", omittingEmptySubsequences: false)
        if tokens.contains("") { return false }
        for (index, token) in wanted.enumerated() {
            if token == ">" { return tokens.count > index }
            guard index < tokens.count, token == "*" || token == tokens[index] else { return false }
        }
        return wanted.count == tokens.count
    }

    @Test func `matching agrees with a naive reference on random patterns and subjects`() {
        var generator = SeededGenerator(seed: 1)
        let tokens = ["a", "ab", "b", "tool", "too", "日"]
        var matches = 0
        for _ in 0..<20_000 {
            var wanted = ["events"]
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                wanted.append(Bool.random(using: &generator) ? tokens.randomElement(using: &generator) ?? "" : "*")
            }
            if Bool.random(using: &generator) { wanted[wanted.count - 1] = ">" }
            var subject = [Int.random(in: 0..<20, using: &generator) == 0 ? "event" : "events"]
            for _ in 0..<Int.random(in: 0...5, using: &generator) {
                let isEmpty = Int.random(in: 0..<40, using: &generator) == 0
                subject.append(isEmpty ? "" : tokens.randomElement(using: &generator) ?? "")
            }
            let pattern = wanted.joined(separator: ".")
            let name = subject.joined(separator: ".")
            let expected = naiveMatch(pattern, name)
            if expected { matches += 1 }
            #expect(EventPattern(stringLiteral: pattern).matches(subject: name) == expected, "\(pattern) on \(name)")
        }
        #expect(matches > 2_000)
    }
}
