import MeshEvents
import Yams

extension ManifestReader {
    private static let toolKeys = [
        "name", "version", "command", "env", "inherit", "config", "publish", "secrets", "restart", "autostart",
        "directory",
        "grace", "crash_output", "logs", "health", "ready", "watchdog", "on_unhealthy",
        "stop", "memory", "nice", "cpus", "umask", "limits", "user", "after", "instances", "schedule", "every",
        "reload",
    ]

    /// Reads one tool; `nil` when it has no name. Other mistakes are reported, and the default value stays.
    mutating func tool(_ node: Node) -> ToolSpecification? {
        guard node.mapping != nil else {
            report("a tool must be an object with name and command, not \(kind(of: node))", at: node)
            return nil
        }
        var tool = ToolSpecification(name: "", version: "", command: [], directory: directory)
        var seen: [String: Node] = [:]
        var stopGrace: Duration?
        confidential = []
        let settings = members(of: node, "a tool", known: Self.toolKeys)
        for (key, value) in settings {
            seen[key] = value
            switch key {
            case "name": tool.name = name(value)
            case "version": tool.version = version(value)
            case "command": tool.command = command(value)
            case "env": tool.environment = environment(value)
            case "inherit": tool.inherit = inherit(value)
            case "publish": tool.publish = Set(strings(value, "publish"))
            case "config": tool.configuration = configuration(value)
            case "secrets": tool.secrets = Set(strings(value, "secrets"))
            case "restart": tool.restart = restart(value)
            case "autostart": tool.autostart = boolean(value, "autostart") ?? true
            case "directory": tool.directory = nonEmpty(value, "directory").map(path)
            case "crash_output": tool.crashOutput = crashOutput(value) ?? tool.crashOutput
            case "logs": tool.logs = logs(value)
            case "health": tool.health.check = probe(value, "health", every: .seconds(10))
            case "ready": readiness(value, &tool.health, hasCheck: settings.contains { $0.0 == "health" })
            case "watchdog": tool.health.watchdog = duration(value, "watchdog", in: ToolHealth.times)
            case "on_unhealthy": tool.health.onUnhealthy = reaction(value) ?? tool.health.onUnhealthy
            case "grace": tool.gracePeriod = grace(value, "grace") ?? tool.gracePeriod
            case "stop":
                let stop = stop(value)
                tool.stopSignal = stop.signal ?? .term
                stopGrace = stop.grace
            case "memory": tool.memory = memory(value)
            case "nice": tool.process.nice = nice(value)
            case "cpus": tool.process.cpus = cpus(value)
            case "umask": tool.process.umask = umask(value)
            case "limits": tool.process.limits = limits(value)
            case "user": tool.process.user = nonEmpty(value, "user")
            case "after": tool.after = after(value)
            case "instances": order.instances = instances(value)
            case "schedule": tool.schedule = schedule(value)
            case "every": tool.schedule = every(value)
            case "reload": tool.reloadSignal = signal(value, "reload")
            default: break
            }
        }
        tool.confidential = confidential
        if let stopGrace {
            if let grace = seen["grace"] { report("grace is given twice; keep that of 'stop'", at: grace) }
            tool.gracePeriod = stopGrace
        }
        if let every = seen["every"], seen["schedule"] != nil {
            report("every and schedule exclude each other; keep one", at: every)
        }
        if let restart = seen["restart"], seen["schedule"] != nil || seen["every"] != nil {
            report("a tool with a schedule is started at its times only; leave 'restart' out", at: restart)
        }
        let missing = ["name", "command"].filter { seen[$0] == nil }
        if !missing.isEmpty {
            let who = tool.name.isEmpty ? "this tool" : "tool \(tool.name)"
            report("\(who) lacks \(missing.map { "'\($0)'" }.joined(separator: " and "))", at: node)
        }
        return tool.name.isEmpty ? nil : tool
    }

    private mutating func name(_ node: Node) -> String {
        guard let name = text(node, "name") else { return "" }
        if let problem = ToolSpecification.problem(inName: name) {
            report("'\(name)' is no tool's name: \(problem)", at: node)
            return ""
        }
        return name
    }

    private mutating func version(_ node: Node) -> String {
        guard let version = nonEmpty(node, "version") else { return "" }
        // Required because 1.10 and 1.1 are the same number in YAML.
        if !isQuoted(node), case .number = ManifestScalar.value(plain: version) {
            report("version must be text; quote it: \"\(version)\" (YAML takes \(version) for a number)", at: node)
        }
        return version
    }

    private mutating func command(_ node: Node) -> [String] {
        var words: [String]
        if node.sequence != nil {
            words = strings(node, "command")
        } else {
            guard let program = text(node, "command") else { return [] }
            if program.contains(where: \.isWhitespace) {
                let list = program.split(whereSeparator: \.isWhitespace).joined(separator: ", ")
                report(
                    "command as a string is a program without arguments; write a list: [\(list)], or have a shell "
                        + "read it: [sh, -c, \"…\"]",
                    at: node
                )
            }
            words = [program]
        }
        guard let program = words.first, !program.isEmpty else {
            report("command must name a program", at: node)
            return []
        }
        if program.contains("/") { words[0] = path(program) }
        return words
    }

    private mutating func environment(_ node: Node) -> [String: String] {
        if isNull(node) { return [:] }
        var environment: [String: String] = [:]
        for (name, value) in members(of: node, "env", known: nil) {
            if name.isEmpty || name.contains("=") {
                report("'\(name)' is no name of an environment variable: it is empty or holds '='", at: value)
            }
            environment[name] = expanded(value, "env.\(name)") ?? ""
        }
        return environment
    }

    private mutating func inherit(_ node: Node) -> Set<String> {
        let names = strings(node, "inherit")
        for name in names where name.isEmpty || name.contains("=") {
            report("'\(name)' is no name of an environment variable: it is empty or holds '='", at: node)
        }
        return Set(names)
    }

    private mutating func configuration(_ node: Node) -> EventData {
        if isNull(node) { return .null }
        guard node.mapping != nil else {
            report("config must be an object of keys and values, not \(kind(of: node))", at: node)
            return .null
        }
        guard let object = value(node, "config", depth: 0).object else { return .null }
        return EventData(object)
    }
}
