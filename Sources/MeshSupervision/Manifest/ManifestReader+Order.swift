import MeshEvents
import Yams

/// What the tools of a manifest say of each other.
struct ManifestOrder {
    /// A name in `after`, and where it is.
    struct Reference {
        let name: String
        let node: Node
    }

    /// How many instances the present tool has; `nil` for itself alone.
    var instances: Int?
    /// What the present tool's `after` names.
    var after: [Reference] = []
    /// What `after` names, by the tool.
    var references: [String: [Reference]] = [:]
    /// The names of the instances, by the name that they share.
    var groups: [String: [String]] = [:]
    /// The name that a tool has in the manifest, by the name of each instance.
    var entries: [String: String] = [:]
    /// Whether a tool was left out because of mistakes: then it is not known which names there are.
    var isIncomplete = false
}

/// Reads the order of tools, their instances and schedules.
extension ManifestReader {
    // MARK: after

    /// `after: [db]`, or `after: {tools: [db], within: 2m}`. The names are checked when all tools are known.
    mutating func after(_ node: Node) -> ToolDependencies {
        var after: ToolDependencies = []
        guard node.mapping != nil else {
            order.after = references(node, "after")
            return after
        }
        for (key, value) in members(of: node, "after", known: ["tools", "within"]) {
            switch key {
            case "tools": order.after = references(value, "after.tools")
            case "within":
                after.within =
                    duration(value, "after.within", in: .milliseconds(100) ... .seconds(3_600)) ?? after.within
            default: break
            }
        }
        return after
    }

    private mutating func references(_ node: Node, _ what: String) -> [ManifestOrder.Reference] {
        guard let nodes = node.sequence else {
            report("\(what) must be a list of tools, such as [db], not \(kind(of: node))", at: node)
            return []
        }
        guard nodes.count <= ToolManifest.maximumTools else {
            report("\(what) names \(nodes.count) tools; a manifest has at most \(ToolManifest.maximumTools)", at: node)
            return []
        }
        return nodes.compactMap { node in
            text(node, "each of \(what)").map { ManifestOrder.Reference(name: $0, node: node) }
        }
    }

    // MARK: instances

    /// `instances: 4`.
    mutating func instances(_ node: Node) -> Int? {
        integer(node, "instances", in: 1...ToolSpecification.maximumInstances)
    }

    /// The tools that an entry of the manifest stands for, whose names are not checked yet.
    mutating func expand(_ tool: ToolSpecification, at node: Node) -> [ToolSpecification] {
        defer { (order.instances, order.after) = (nil, []) }
        guard let count = order.instances else {
            order.references[tool.name] = order.after
            return [tool]
        }
        let environment = tool.environment.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        var bytes = tool.configuration.json.utf8.count + tool.command.reduce(environment) { $0 + $1.utf8.count }
        _ = tool.health.mapTexts { text in
            bytes += text.utf8.count
            return text
        }
        expansionLeft -= bytes * (count - 1)
        guard expansionLeft >= 0 else {
            (expansionLeft, order.isIncomplete) = (0, true)
            report("the instances make this manifest too large; all of them have at most 4 MiB", at: node)
            return []
        }
        let tools = tool.instances(count)
        order.groups[tool.name] = tools.map(\.name)
        for instance in tools { order.entries[instance.name] = tool.name }
        for tool in tools { order.references[tool.name] = order.after }
        return tools
    }

    /// Resolves the names in `after`, and reports those that no tool has, and circles.
    mutating func resolveOrder(_ tools: inout [ToolSpecification]) {
        let known = Dictionary(tools.map { ($0.name, $0) }) { first, _ in first }
        // Instances have the same mistakes, which are reported once.
        var entries: Set<String> = []
        for index in tools.indices {
            let tool = tools[index]
            let isFirst = entries.insert(entry(of: tool)).inserted
            var names: [String] = []
            var found: Set<String> = []
            for reference in order.references[tool.name] ?? [] {
                var problems: Set<String> = []
                for name in order.groups[reference.name] ?? [reference.name] where !found.contains(name) {
                    if let problem = problem(name, reference, tool, known) {
                        if isFirst, problems.insert(problem).inserted { report(problem, at: reference.node) }
                    } else if known[name] != nil {
                        found.insert(name)
                        names.append(name)
                    }
                }
            }
            tools[index].after.names = names
        }
        let sorted = StartOrder(tools)
        guard let problem = sorted.problem, let first = sorted.circle.first else { return }
        let second = sorted.circle.dropFirst().first ?? first
        let place = order.references[first]?.first {
            ($0.name == second) || order.groups[$0.name]?.contains(second) == true
        }
        if let node = place?.node { report("after: a circle: \(problem); leave one of them out", at: node) }
    }

    /// The name that a tool has in the manifest, without the number of an instance.
    private func entry(of tool: ToolSpecification) -> String {
        order.entries[tool.name] ?? tool.name
    }

    /// Why a tool cannot be started after the one of this name; `nil` when it can, or that is not known.
    private func problem(
        _ name: String,
        _ reference: ManifestOrder.Reference,
        _ tool: ToolSpecification,
        _ known: [String: ToolSpecification]
    ) -> String? {
        let entry = entry(of: tool)
        guard reference.name != entry, name != tool.name else {
            return "after: \(entry) cannot be started after itself"
        }
        guard let other = known[name] else {
            guard !order.isIncomplete else { return nil }
            let names = Array(Set(known.keys).union(order.groups.keys).subtracting([tool.name, entry])).sorted()
            let hint = names.isEmpty ? "" : NearestName.hint(for: name, among: names)
            return "after names '\(name)', which is no tool of this manifest\(hint)"
        }
        return other.schedule == nil
            ? nil : "after names '\(name)', which has a schedule, and so is not kept running"
    }

    // MARK: schedule, every

    /// `schedule: "0 3 * * *"`, or `schedule: {cron: "0 3 * * *", zone: Europe/Vienna, missed: run}`.
    mutating func schedule(_ node: Node) -> ToolSchedule? {
        guard node.mapping != nil else { return text(node, "schedule").flatMap { self.cron($0, nil, at: node) } }
        var cron: (text: String, node: Node)?
        var zone: String?
        var missed: ToolSchedule.Missed?
        for (key, value) in members(of: node, "schedule", known: ["cron", "zone", "missed"]) {
            switch key {
            case "cron": cron = text(value, "schedule.cron").map { ($0, value) }
            case "zone": zone = nonEmpty(value, "schedule.zone")
            case "missed":
                missed = choice(value, "schedule.missed", among: ToolSchedule.Missed.allCases.map(\.rawValue))
                    .flatMap { ToolSchedule.Missed(rawValue: $0) }
            default: break
            }
        }
        guard let cron else {
            report("schedule lacks 'cron', such as \"0 3 * * *\"", at: node)
            return nil
        }
        var schedule = self.cron(cron.text, zone, at: cron.node)
        schedule?.missed = missed ?? .skip
        return schedule
    }

    private mutating func cron(_ text: String, _ zone: String?, at node: Node) -> ToolSchedule? {
        do throws(CronSchedule.Mistake) {
            return try .cron(text, timeZone: zone)
        } catch {
            report("schedule: \(error.description)", at: node)
            return nil
        }
    }

    /// `every: 6h`.
    mutating func every(_ node: Node) -> ToolSchedule? {
        duration(node, "every", in: ToolSchedule.minimumInterval ... .seconds(366 * 86_400)).map { .every($0) }
    }
}
