import Yams

/// Reads how a supervisor finds out whether a tool works.
extension ManifestReader {
    private static let targets = ["http", "tcp", "exec"]
    private static let probeExample = "{http: \"http://127.0.0.1:9000/healthz\"}"

    /// Reads the probe under `health`; `nil` when it has no target that can be used.
    mutating func probe(_ node: Node, _ what: String, every: Duration) -> ToolProbe? {
        guard node.mapping != nil else {
            report("\(what) must be an object such as \(Self.probeExample), not \(kind(of: node))", at: node)
            return nil
        }
        return probe(
            members(of: node, what, known: Self.targets + ["every", "timeout", "failures"]),
            node,
            what,
            every
        )
    }

    /// Reads how the tool shows that it is ready: `notify`, or an object with `notify: true` or a probe, and `within`. For a
    /// tool with `health`, `within` alone will do.
    ///
    /// - Parameter hasCheck: whether the tool has `health`.
    mutating func readiness(_ node: Node, _ health: inout ToolHealth, hasCheck: Bool) {
        guard node.mapping != nil else {
            guard node.scalar?.string == "notify" else {
                let allowed = "notify, or an object such as \(Self.probeExample)"
                report("ready must be \(allowed), not \(kind(of: node))", at: node)
                return
            }
            health.readiness = .notified
            return
        }
        var rest: [(String, Node)] = []
        var notify: Node?
        var isTimed = false
        for (key, value) in members(of: node, "ready", known: Self.targets + ["notify", "every", "timeout", "within"]) {
            switch key {
            case "notify": notify = boolean(value, "ready.notify") == true ? value : nil
            case "within":
                isTimed = true
                health.readyWithin = duration(value, "ready.within", in: ToolHealth.times) ?? health.readyWithin
            default: rest.append((key, value))
            }
        }
        if let notify {
            if let other = rest.first { report("ready has notify and \(other.0); give one of them", at: notify) }
            health.readiness = .notified
        } else if hasCheck, rest.isEmpty, isTimed {
            return
        } else if let probe = probe(rest, node, "ready", .seconds(1)) {
            health.readiness = .probed(probe)
        }
    }

    /// Reads what follows when the tool is unhealthy.
    mutating func reaction(_ node: Node) -> ToolHealth.Reaction? {
        guard let text = text(node, "on_unhealthy") else { return nil }
        if let reaction = ToolHealth.Reaction(rawValue: text) { return reaction }
        let names = ToolHealth.Reaction.allCases.map(\.rawValue)
        let hint = NearestName.hint(for: text, among: names)
        report("on_unhealthy must be \(names.joined(separator: " or ")), not '\(text)'\(hint)", at: node)
        return nil
    }

    private mutating func probe(
        _ members: [(String, Node)],
        _ node: Node,
        _ what: String,
        _ every: Duration
    ) -> ToolProbe? {
        var target: ToolProbe.Target?
        var targets: [String] = []
        var (every, timeout, failures) = (every, Duration.seconds(2), 3)
        for (key, value) in members {
            let name = "\(what).\(key)"
            switch key {
            case "every": every = duration(value, name, in: ToolHealth.times) ?? every
            case "timeout": timeout = duration(value, name, in: ToolProbe.timeouts) ?? timeout
            case "failures": failures = count(value, name, in: ToolProbe.failureCounts) ?? failures
            default:
                targets.append(key)
                target = self.target(key, value, name) ?? target
            }
        }
        guard targets.count == 1 else {
            let have = targets.isEmpty ? "none of" : "\(targets.joined(separator: " and ")) of"
            report(
                "\(what) needs one of http, tcp and exec, such as \(Self.probeExample); it has \(have) them",
                at: node
            )
            return nil
        }
        return target.map { ToolProbe($0, every: every, timeout: timeout, failures: failures) }
    }

    private mutating func target(_ key: String, _ node: Node, _ what: String) -> ToolProbe.Target? {
        switch key {
        case "http":
            guard let url = expanded(node, what) else { return nil }
            do throws(HTTPTarget.Problem) {
                _ = try HTTPTarget(Self.example(url))
                return .http(url)
            } catch {
                report("\(what) cannot be used: \(error.description)", at: node)
                return nil
            }
        case "tcp":
            guard let text = expanded(node, what) else { return nil }
            guard HTTPTarget.split(Self.example(text)) != nil else {
                report("\(what) must be a host and a port such as \"127.0.0.1:9000\", not \(kind(of: node))", at: node)
                return nil
            }
            return .tcp(text)
        default:
            var words = strings(node, what)
            guard let program = words.first, !program.isEmpty else {
                if node.sequence != nil { report("\(what) must name a program, such as [check.sh, --quick]", at: node) }
                return nil
            }
            if program.contains("/") { words[0] = path(program) }
            return .command(words)
        }
    }

    /// An address as the first instance of a tool has it.
    private static func example(_ text: String) -> String {
        text.replacing(ToolSpecification.instanceMark, with: "1")
    }

    private mutating func count(_ node: Node, _ what: String, in range: ClosedRange<Int>) -> Int? {
        guard let text = text(node, what) else { return nil }
        guard let count = Int(text), range.contains(count) else {
            report("\(what) must be a number from \(range.lowerBound) to \(range.upperBound), not '\(text)'", at: node)
            return nil
        }
        return count
    }
}
