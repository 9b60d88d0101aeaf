import Yams

/// Reads how a tool is started again, stopped and limited.
extension ManifestReader {
    // MARK: restart

    /// `restart: on-failure`, or `restart: {policy: on-failure, max: 5, within: 10m, delay: 1s, max_delay: 60s}`.
    mutating func restart(_ node: Node) -> RestartPolicy {
        var policy = RestartPolicy()
        guard node.mapping != nil else {
            policy.mode = mode(node, "restart")
            return policy
        }
        let longest: Duration = .seconds(86_400)
        var maximumDelay: Duration?
        for (key, value) in members(of: node, "restart", known: ["policy", "max", "within", "delay", "max_delay"]) {
            switch key {
            case "policy": policy.mode = mode(value, "restart.policy")
            case "max": policy.maximumRestarts = maximumRestarts(value) ?? policy.maximumRestarts
            case "within": policy.within = duration(value, "restart.within", in: .seconds(1) ... .seconds(30 * 86_400))
            case "delay":
                policy.initialDelay =
                    duration(value, "restart.delay", in: .milliseconds(10)...longest) ?? policy.initialDelay
            case "max_delay": maximumDelay = duration(value, "restart.max_delay", in: .milliseconds(10)...longest)
            default: break
            }
        }
        if let maximumDelay, maximumDelay < policy.initialDelay {
            report("restart.max_delay must not be less than the first delay, \(policy.initialDelay)", at: node)
        }
        policy.maximumDelay = max(maximumDelay ?? policy.maximumDelay, policy.initialDelay)
        return policy
    }

    private mutating func mode(_ node: Node, _ what: String) -> RestartPolicy.Mode {
        choice(node, what, among: RestartPolicy.Mode.allCases.map(\.rawValue))
            .flatMap { RestartPolicy.Mode(rawValue: $0) } ?? .onFailure
    }

    private mutating func maximumRestarts(_ node: Node) -> Int? {
        if node.scalar?.string == "unlimited" { return .max }
        return integer(node, "restart.max", in: 0...1_000_000, or: ", or unlimited")
    }

    // MARK: stop

    /// `stop: {signal: SIGINT, grace: 20s}`.
    mutating func stop(_ node: Node) -> (signal: StopSignal?, grace: Duration?) {
        var stop: (signal: StopSignal?, grace: Duration?) = (nil, nil)
        for (key, value) in members(of: node, "stop", known: ["signal", "grace"]) {
            switch key {
            case "signal":
                guard let name = text(value, "stop.signal") else { break }
                stop.signal = StopSignal(name)
                guard stop.signal == nil else { break }
                let names = StopSignal.allCases.map(\.rawValue).joined(separator: ", ")
                let kill = name.uppercased().hasSuffix("KILL") ? "; 'grace: 0s' kills at once" : ""
                report("stop.signal must be one of \(names), not '\(name)'\(kill)", at: value)
            case "grace": stop.grace = grace(value, "stop.grace")
            default: break
            }
        }
        return stop
    }

    /// How long a tool may take to end.
    mutating func grace(_ node: Node, _ what: String) -> Duration? {
        duration(node, what, in: .zero ... .seconds(3_600))
    }

    // MARK: memory

    /// `memory: 8G`, or `memory: {max: 8G, action: restart}`.
    mutating func memory(_ node: Node) -> ToolMemoryLimit? {
        guard node.mapping != nil else { return size(node, "memory").map { ToolMemoryLimit(maximum: $0) } }
        var limit: ToolMemoryLimit?
        var action: ToolMemoryLimit.Action?
        var hasMaximum = false
        for (key, value) in members(of: node, "memory", known: ["max", "action"]) {
            switch key {
            case "max":
                hasMaximum = true
                limit = size(value, "memory.max").map { ToolMemoryLimit(maximum: $0) }
            case "action":
                action = choice(value, "memory.action", among: ToolMemoryLimit.Action.allCases.map(\.rawValue))
                    .flatMap { ToolMemoryLimit.Action(rawValue: $0) }
            default: break
            }
        }
        if !hasMaximum { report("memory lacks 'max', such as 8G", at: node) }
        limit?.action = action ?? .restart
        return limit
    }

    private mutating func size(_ node: Node, _ what: String) -> Int? {
        guard let text = text(node, what) else { return nil }
        guard let bytes = ManifestSize.parse(text).flatMap({ Int(exactly: $0) }), bytes > 0 else {
            report("\(what) must be a size such as 512M or 8G, not '\(text)'", at: node)
            return nil
        }
        return hasRoomForProgram(UInt64(bytes), text, what, at: node) ? bytes : nil
    }

    /// Whether a program can have no more memory than this. A small number is meant in another unit.
    private mutating func hasRoomForProgram(_ bytes: UInt64, _ text: String, _ what: String, at node: Node) -> Bool {
        guard bytes < UInt64(ToolMemoryLimit.minimum) else { return true }
        let advice = UInt64(text) == nil ? "" : "; give a unit, such as \(text)M"
        report("\(what) must be at least 1M, not '\(text)'\(advice)", at: node)
        return false
    }

    // MARK: nice, cpus, umask, limits, user

    /// `nice: 10`.
    mutating func nice(_ node: Node) -> Int? { integer(node, "nice", in: -20...19) }

    /// `cpus: "0-3,6"`.
    mutating func cpus(_ node: Node) -> Set<Int> {
        guard let text = text(node, "cpus") else { return [] }
        var cpus: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false)
                .map { Int($0.filter { $0 != " " }) }
            guard (1...2).contains(ends.count), let lower = ends[0], let upper = ends[ends.count - 1], lower <= upper,
                lower >= 0, upper <= ToolProcessSettings.maximumCPU
            else {
                report("cpus must be numbers of processors such as 0-3 or 0,2, not '\(text)'", at: node)
                return []
            }
            cpus.formUnion(lower...upper)
        }
        #if !os(Linux)
            report("cpus: only Linux lets a program choose its processors; leave it out", at: node)
        #endif
        return cpus
    }

    /// `umask: "027"`, octal with or without quotes.
    mutating func umask(_ node: Node) -> Int? {
        guard let text = text(node, "umask") else { return nil }
        let digits = text.hasPrefix("0o") ? text.dropFirst(2) : text[...]
        guard digits.utf8.allSatisfy({ (48...55).contains($0) }), let mask = Int(digits, radix: 8), mask <= 0o777 else {
            report("umask must be octal, from 000 to 777, such as \"027\", not '\(text)'", at: node)
            return nil
        }
        return mask
    }

    /// `limits: {nofile: 4096, core: 0, as: 8G, cpu: 30m}`.
    mutating func limits(_ node: Node) -> [ToolProcessSettings.Resource: ToolProcessSettings.Limit] {
        var limits: [ToolProcessSettings.Resource: ToolProcessSettings.Limit] = [:]
        let names = ToolProcessSettings.Resource.allCases.map(\.rawValue)
        for (key, value) in members(of: node, "limits", known: names) {
            guard let resource = ToolProcessSettings.Resource(rawValue: key) else { continue }
            limits[resource] = limit(value, resource)
        }
        return limits
    }

    private mutating func limit(
        _ node: Node,
        _ resource: ToolProcessSettings.Resource
    ) -> ToolProcessSettings.Limit? {
        let what = "limits.\(resource.rawValue)"
        guard let text = text(node, what) else { return nil }
        if text == "unlimited" { return .unlimited }
        let value: UInt64? =
            switch resource {
            case _ where resource.isSize: ManifestSize.parse(text)
            case .cpu: UInt64(text) ?? ManifestDuration.parse(text).map { UInt64(($0 / .seconds(1)).rounded(.up)) }
            default: UInt64(text)
            }
        guard let value, value <= UInt64(Int64.max) else {
            let example =
                resource.isSize
                ? "a size such as 512M" : resource == .cpu ? "seconds or a duration such as 30m" : "a number"
            report("\(what) must be \(example), or unlimited, not '\(text)'", at: node)
            return nil
        }
        if resource == .as || resource == .data, !hasRoomForProgram(value, text, what, at: node) { return nil }
        return .at(value)
    }

    // MARK: Values

    /// A whole number.
    mutating func integer(_ node: Node, _ what: String, in range: ClosedRange<Int>, or other: String = "") -> Int? {
        guard let text = text(node, what) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            report(
                "\(what) must be a whole number from \(range.lowerBound) to \(range.upperBound)\(other), not '\(text)'",
                at: node
            )
            return nil
        }
        return number
    }

    /// One of several words.
    mutating func choice(_ node: Node, _ what: String, among words: [String]) -> String? {
        guard let text = text(node, what) else { return nil }
        if words.contains(text) { return text }
        let nearest = NearestName.hint(for: text, among: words)
        report("\(what) must be \(words.joined(separator: ", ")), not '\(text)'\(nearest)", at: node)
        return nil
    }
}
