import MeshEvents
import MeshMonitoring

/// Writes the capabilities and resources of a node for people.
enum NodeFigures {
    /// What is shown elsewhere, or is for programs only.
    private static let known: Set<String> = [
        "arch", "checks", "cpu", "cpus", "disk_free_mb", "gpus", "host", "instance", "interval_s", "load", "mem_mb",
        "mem_total_mb", "mem_used_mb", "open_tools", "os", "tools", "uptime_s", "version",
    ]

    /// `cpu 42 %, load 0.1 0.2 0.3, memory 812 MB of 4.0 GB, 10 GB of disk free`.
    static func use(_ resources: EventData) -> String {
        var parts: [String] = []
        if let cpu = number(resources, "cpu") { parts.append("cpu \(Int(clamping: Int64(min(cpu, 1e6) * 100))) %") }
        if let load = resources["load"]?.array {
            parts.append("load " + load.prefix(3).compactMap { $0.double.map(Self.short) }.joined(separator: " "))
        }
        if let used = number(resources, "mem_used_mb") {
            parts.append("memory \(size(used))" + (number(resources, "mem_total_mb").map { " of \(size($0))" } ?? ""))
        }
        if let free = number(resources, "disk_free_mb") { parts.append("\(size(free)) of disk free") }
        return parts.joined(separator: ", ")
    }

    /// `pi.local, linux, arm64, 4 cpus, 4.0 GB`.
    static func machine(_ capabilities: EventData) -> String {
        let words = ["host", "os", "arch"].compactMap { capabilities[$0]?.string }
        let cpus = capabilities["cpus"]?.int.map { ["\($0) \($0 == 1 ? "cpu" : "cpus")"] } ?? []
        return (words + cpus + (number(capabilities, "mem_mb").map { [size($0)] } ?? [])).joined(separator: ", ")
    }

    /// The other members as `key=value`, capabilities first.
    static func others(_ capabilities: EventData, _ resources: EventData) -> String {
        [capabilities, resources].map { pairs($0, leavingOut: known) }.filter { !$0.isEmpty }.joined(separator: " ")
    }

    /// Everything on one line: how the machine is used; while that is not known, what it is.
    static func line(_ node: MeshState.Node) -> String {
        let use = [use(node.resources), others(.null, node.resources)].filter { !$0.isEmpty }
        let machine = [machine(node.capabilities), others(node.capabilities, .null)].filter { !$0.isEmpty }
        return (use.isEmpty ? machine : use).joined(separator: " ")
    }

    /// Numbers, texts and lists of them as `key=value`.
    static func pairs(_ data: EventData, leavingOut keys: Set<String>) -> String {
        data.members.filter { !keys.contains($0.key) }
            .compactMap { member in
                if let text = member.value.string { return "\(member.key)=\(SafeText.name(text))" }
                if let list = member.value.array, !list.contains(where: { $0.isObject || $0.array != nil }) {
                    return "\(member.key)=\(list.map { $0.string ?? $0.json }.joined(separator: ","))"
                }
                return member.value.isObject || member.value.isNull || member.value.array != nil
                    ? nil : "\(member.key)=\(member.value.json)"
            }
            .joined(separator: " ")
    }

    private static func number(_ data: EventData, _ key: String) -> Double? {
        data[key]?.double.flatMap { (0...1e15).contains($0) ? $0 : nil }
    }

    private static func size(_ megabytes: Double) -> String {
        megabytes < 1_024 ? "\(Int(megabytes)) MB" : "\(short(megabytes / 1_024)) GB"
    }

    /// With one decimal, unless it is a whole number.
    private static func short(_ number: Double) -> String {
        guard abs(number) < 1e12 else { return "\(number)" }
        let tenths = (number * 10).rounded()
        return tenths.truncatingRemainder(dividingBy: 10) == 0 ? "\(Int(tenths / 10))" : "\(tenths / 10)"
    }
}
