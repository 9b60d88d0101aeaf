import MeshAlerts
import MeshEvents
import MeshSupervision
import Yams

/// Reads the rules and targets of alerts, and continues after each mistake.
struct AlertManifestReader {
    /// Reads single values, and keeps the mistakes.
    var values: ManifestReader

    init(_ values: ManifestReader) { self.values = values }

    /// Reads the whole file.
    mutating func manifest(_ root: Node) -> AlertManifest {
        var manifest = AlertManifest()
        var rules: Node?
        for (key, value) in values.members(of: root, "the file", known: ManifestReader.keys) {
            switch key {
            // Before the rules, which name them.
            case "notify": manifest.targets = targets(value)
            case "alerts": rules = value
            case "page": manifest.page = page(value)
            default: break
            }
        }
        if let rules { manifest.rules = self.rules(rules, targets: manifest.targets.map(\.name)) }
        return manifest
    }

    private mutating func page(_ node: Node) -> String? {
        guard let text = values.expanded(node, "page") else { return nil }
        guard AlertManifest.isPage(text) else {
            values.report("page must be the address of the mesh's page, such as https://mesh.example/", at: node)
            return nil
        }
        return text
    }

    private mutating func rules(_ node: Node, targets: [String]) -> [AlertRule] {
        if values.isNull(node) { return [] }
        guard let nodes = node.sequence else {
            values.report("alerts must be a list, each alert after '- ', not \(values.kind(of: node))", at: node)
            return []
        }
        guard nodes.count <= AlertManifest.maximumRules else {
            values.report("\(nodes.count) alerts; there are at most \(AlertManifest.maximumRules)", at: node)
            return []
        }
        var rules: [AlertRule] = []
        var lines: [String: Int] = [:]
        for node in nodes {
            guard let rule = rule(node, targets: targets) else { continue }
            if let line = lines[rule.name] {
                values.report("a second alert named '\(rule.name)'; the first is in line \(line)", at: node)
                continue
            }
            lines[rule.name] = node.mark?.line ?? 0
            rules.append(rule)
        }
        return rules
    }

    // MARK: One rule

    private static let ruleKeys = [
        "name", "when", "missing", "every", "where", "count", "within", "for", "resolve", "group", "severity", "to",
        "repeat", "quiet",
    ]
    private static let durations: ClosedRange<Duration> = .seconds(1) ... .seconds(366 * 86_400)

    /// What a rule says about its cause.
    private struct Cause {
        var count: Int?
        var within: Duration?
        var lasts: Duration?
        var every: Duration?
    }

    private mutating func rule(_ node: Node, targets: [String]) -> AlertRule? {
        guard node.mapping != nil else {
            values.report("an alert must be an object with name and when, not \(values.kind(of: node))", at: node)
            return nil
        }
        var rule = AlertRule(name: "", patterns: [])
        var cause = Cause()
        var seen: [String: Node] = [:]
        for (key, value) in values.members(of: node, "an alert", known: Self.ruleKeys) {
            seen[key] = value
            switch key {
            case "name": rule.name = name(value) ?? ""
            case "when", "missing": rule.patterns = patterns(value, key)
            case "every": cause.every = values.duration(value, "every", in: Self.durations)
            case "where": rule.filter = filter(value)
            case "count": cause.count = integer(value, "count", in: 1...AlertRule.maximumCount)
            case "within": cause.within = values.duration(value, "within", in: Self.durations)
            case "for": cause.lasts = values.duration(value, "for", in: Self.durations)
            case "resolve": rule.resolve = patterns(value, key)
            case "group": rule.grouping = grouping(value)
            case "severity": rule.severity = severity(value)
            case "to": rule.targets = names(value, of: targets)
            case "repeat":
                rule.repetition = values.duration(value, "repeat", in: .seconds(60) ... .seconds(366 * 86_400))
            case "quiet": rule.quiet = quiet(value)
            default: break
            }
        }
        finish(&rule, cause, seen, at: node)
        return rule.name.isEmpty ? nil : rule
    }

    /// Checks what belongs together.
    private mutating func finish(_ rule: inout AlertRule, _ cause: Cause, _ seen: [String: Node], at node: Node) {
        let who = rule.name.isEmpty ? "this alert" : "alert \(rule.name)"
        if seen["name"] == nil { values.report("\(who) lacks 'name'", at: node) }
        func conflicts(_ key: String, _ others: [String]) -> [String] {
            seen[key] == nil ? [] : others.filter { seen[$0] != nil }
        }
        if seen["when"] == nil, seen["missing"] == nil {
            values.report(
                "\(who) lacks 'when' (an event that makes it fire) or 'missing' (one whose absence does)",
                at: node
            )
        }
        for other in conflicts("missing", ["when", "count", "within", "for", "resolve"]) {
            values.report(
                "\(who) has 'missing', which goes with 'every' and 'where' only; leave '\(other)' out",
                at: seen[other] ?? node
            )
        }
        if seen["missing"] != nil, seen["every"] == nil {
            values.report("\(who) lacks 'every': how long the event may be missing, such as 25h", at: node)
        }
        if seen["missing"] == nil, let every = seen["every"] {
            values.report(
                "\(who) has 'every', which belongs to 'missing'; 'within' bounds the time of 'count'",
                at: every
            )
        }
        for other in conflicts("for", ["count", "within"]) {
            values.report(
                "\(who) has 'for', a state that lasts; '\(other)' counts events: leave one out",
                at: seen[other] ?? node
            )
        }
        if (cause.count ?? 1) > 1, seen["within"] == nil {
            values.report(
                "\(who) lacks 'within': the time in which it counts \(cause.count ?? 1) events, such as 10m",
                at: node
            )
        }
        if seen["for"] != nil, seen["where"] == nil, seen["resolve"] == nil {
            values.report(
                "\(who) has 'for' but nothing that could end the state: give 'where' (events that do not pass end it) or "
                    + "'resolve'",
                at: node
            )
        }
        if let every = cause.every {
            rule.cause = .silence(every)
        } else if let lasts = cause.lasts {
            rule.cause = .state(for: lasts)
        } else {
            rule.cause = .events(count: cause.count ?? 1, within: cause.within ?? AlertRule.defaultWindow)
        }
    }

    private mutating func name(_ node: Node) -> String? {
        guard let name = values.text(node, "name") else { return nil }
        if let problem = AlertRule.problem(inName: name) {
            values.report("'\(name)' is no alert's name: \(problem)", at: node)
            return nil
        }
        return name
    }

    private mutating func patterns(_ node: Node, _ what: String) -> [EventPattern] {
        let nodes = node.sequence.map(Array.init) ?? [node]
        if nodes.isEmpty { values.report("\(what) must name an event, such as tool.crashed", at: node) }
        if nodes.count > 32 { values.report("\(what) names \(nodes.count) events; at most 32 go together", at: node) }
        var patterns: [EventPattern] = []
        for node in nodes.prefix(32) {
            guard let text = values.nonEmpty(node, what) else { continue }
            do throws(MeshEventsError) {
                let pattern = try EventPattern(text)
                guard !EventPattern.allAlerts.covers(pattern) else {
                    values.report("\(what): events about alerts make no alert fire, or it would never end", at: node)
                    continue
                }
                patterns.append(pattern)
            } catch {
                values.report("\(what): \(error.message)", at: node)
            }
        }
        return patterns
    }

    private mutating func grouping(_ node: Node) -> AlertRule.Grouping {
        if node.sequence == nil {
            guard let field = values.nonEmpty(node, "group") else { return .subject }
            return .fields([field])
        }
        let fields = values.strings(node, "group")
        if fields.count > 8 { values.report("group has \(fields.count) fields; at most 8 go together", at: node) }
        return .fields(Array(fields.prefix(8)))
    }

    private mutating func severity(_ node: Node) -> AlertSeverity {
        guard let text = values.text(node, "severity") else { return .warning }
        if let severity = AlertSeverity(rawValue: text) { return severity }
        let known = AlertSeverity.allCases.map(\.rawValue)
        values.report(
            "severity must be \(known.joined(separator: ", ")), not '\(text)'\(NearestName.hint(for: text, among: known))",
            at: node
        )
        return .warning
    }

    private mutating func names(_ node: Node, of targets: [String]) -> [String] {
        let nodes = node.sequence.map(Array.init) ?? [node]
        var names: [String] = []
        for node in nodes {
            guard let name = values.nonEmpty(node, "to") else { continue }
            guard targets.contains(name) else {
                let hint = targets.isEmpty ? "; there is no 'notify'" : NearestName.hint(for: name, among: targets)
                values.report("'\(name)' is no target of 'notify'\(hint)", at: node)
                continue
            }
            if !names.contains(name) { names.append(name) }
        }
        return names
    }

    private mutating func quiet(_ node: Node) -> QuietHours? {
        var (hours, zone): (String?, String?)
        if node.mapping != nil {
            for (key, value) in values.members(of: node, "quiet", known: ["hours", "zone"]) {
                if key == "hours" { hours = values.nonEmpty(value, "quiet.hours") }
                if key == "zone" { zone = values.nonEmpty(value, "quiet.zone") }
            }
        } else {
            hours = values.nonEmpty(node, "quiet")
        }
        guard let hours else { return nil }
        let times = hours.split(separator: "-", omittingEmptySubsequences: false).map { Self.minutes($0) }
        guard times.count == 2, let start = times[0], let end = times[1] else {
            values.report("quiet must be two times of day, such as \"22:00-07:00\", not '\(hours)'", at: node)
            return nil
        }
        guard let quiet = QuietHours(start: start, end: end, zone: zone) else {
            let what =
                start == end ? "begin and end at the same time" : "are in '\(zone ?? "")', which is no time zone here"
            values.report("quiet: these hours \(what)", at: node)
            return nil
        }
        return quiet
    }

    /// The minutes after midnight of a time of day.
    private static func minutes(_ text: Substring) -> Int? {
        let parts = text.trimmingPrefix { $0 == " " }.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2,
            parts.allSatisfy({ (1...2).contains($0.utf8.count) && $0.utf8.allSatisfy { $0 &- 48 <= 9 } }),
            let hour = Int(parts[0]), let minute = Int(parts[1]), hour < 24, minute < 60
        else { return nil }
        return hour * 60 + minute
    }

    /// A whole number.
    mutating func integer(_ node: Node, _ what: String, in range: ClosedRange<Int>) -> Int? {
        guard let text = values.text(node, what) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            values.report(
                "\(what) must be a whole number from \(range.lowerBound) to \(range.upperBound), not '\(text)'",
                at: node
            )
            return nil
        }
        return number
    }

    // MARK: Conditions

    private mutating func filter(_ node: Node) -> EventFilter {
        var conditions: [EventFilter.Condition] = []
        if node.mapping != nil {
            for (key, value) in values.members(of: node, "where", known: nil) {
                if let condition = condition(key, value) { conditions.append(condition) }
            }
        } else {
            for node in node.sequence.map(Array.init) ?? [node] {
                guard let text = values.nonEmpty(node, "where") else { continue }
                if let condition = read(text, at: node) { conditions.append(condition) }
            }
        }
        do throws(MeshEventsError) {
            return try EventFilter(conditions)
        } catch {
            values.report("where: \(error.message)", at: node)
            return EventFilter()
        }
    }

    /// The condition of a field: `whisper`, `"> 0.9"`, `[a, b]`, or nothing.
    private mutating func condition(_ field: String, _ node: Node) -> EventFilter.Condition? {
        if values.isNull(node) { return read("!\(field)", at: node) }
        if node.sequence != nil {
            let words = values.strings(node, "where.\(field)")
            return read("\(field) in [\(words.map { Self.quoted($0) }.joined(separator: ", "))]", at: node)
        }
        guard let text = values.text(node, "where.\(field)") else { return nil }
        let operators = ["!=", ">=", "<=", ">", "<", "=", "in ", "not in "]
        let hasOperator = operators.contains { text.hasPrefix($0) }
        return read(hasOperator ? "\(field) \(text)" : "\(field) = \(text.isEmpty ? "\"\"" : text)", at: node)
    }

    /// A word of a list, in quotes when it needs them.
    private static func quoted(_ word: String) -> String {
        let needsQuotes =
            word.isEmpty || word.contains { ",]\"".contains($0) } || word != word.trimmingPrefix { $0 == " " }
        return needsQuotes ? JSONValue.string(word).description : word
    }

    private mutating func read(_ text: String, at node: Node) -> EventFilter.Condition? {
        do throws(MeshEventsError) {
            return try EventFilter.Condition(text)
        } catch {
            values.report("where: \(error.message)", at: node)
            return nil
        }
    }
}
