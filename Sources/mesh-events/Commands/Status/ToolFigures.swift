import MeshEvents
import MeshMonitoring

/// Writes what tools and GPUs use for people.
enum ToolFigures {
    /// `cpu 125 %, memory 812 MB, 3 processes, 18 threads, 42 open files, 120 MB read, 3.2 MB written`.
    static func use(_ usage: ProcessUsage) -> String {
        var parts: [String] = []
        if usage.cpu != nil { parts.append("cpu \(cpu(usage))") }
        if let memory = usage.memoryMB { parts.append("memory \(size(memory))") }
        func count(_ number: Int?, _ one: String, _ many: String) {
            if let number { parts.append("\(number) \(number == 1 ? one : many)") }
        }
        count(usage.processes, "process", "processes")
        count(usage.threads, "thread", "threads")
        count(usage.files, "open file", "open files")
        if let read = usage.readMB { parts.append("\(size(read)) read") }
        if let written = usage.writtenMB { parts.append("\(size(written)) written") }
        return parts.joined(separator: ", ")
    }

    /// The share of one processor: `125 %`; `-` when it is not known.
    static func cpu(_ usage: ProcessUsage?) -> String {
        usage?.cpu.map { "\(Int((min($0, 1e6) * 100).rounded())) %" } ?? "-"
    }

    /// `11 GB on GPU 1, 2 GB on GPU 3`; empty when it holds none.
    static func gpus(_ usage: ProcessUsage?) -> String {
        (usage?.gpus ?? []).map { share in
            let gpu = share.index.map { "GPU \($0)" } ?? "a GPU"
            return share.memoryMB.map { "\(size($0)) on \(gpu)" } ?? "uses \(gpu)"
        }
        .joined(separator: ", ")
    }

    /// A line for each GPU of a node: `0: NVIDIA A100, 45 % busy, 11 GB of 80 GB, 54 °C, 120 W`.
    static func gpus(of resources: EventData) -> [String] {
        (resources["gpus"]?.elements(first: 64)?.elements ?? []).compactMap { gpu in
            func number(_ key: String, upTo limit: Double) -> Double? {
                gpu[key]?.double.flatMap { (0...limit).contains($0) ? $0 : nil }
            }
            var parts: [String] = []
            if let name = gpu["name"]?.string { parts.append(name) }
            if let use = number("use", upTo: 1) { parts.append("\(Int((use * 100).rounded())) % busy") }
            if let used = number("mem_used_mb", upTo: 1e12) {
                parts.append(size(used) + (number("mem_total_mb", upTo: 1e12).map { " of \(size($0))" } ?? ""))
            }
            if let temperature = number("temp_c", upTo: 1_000) { parts.append("\(Int(temperature.rounded())) °C") }
            if let power = number("power_w", upTo: 1e6) { parts.append("\(Int(power.rounded())) W") }
            let index = gpu["index"]?.int.map { "\($0): " } ?? ""
            return parts.isEmpty ? nil : index + parts.joined(separator: ", ")
        }
    }

    /// `3.2 MB`, `812 MB`, `1.5 GB`.
    static func size(_ megabytes: Double) -> String {
        func short(_ value: Double, _ unit: String) -> String {
            let tenths = (value * 10).rounded() / 10
            return value < 10 && tenths.truncatingRemainder(dividingBy: 1) != 0
                ? "\(tenths) \(unit)" : "\(Int(value.rounded())) \(unit)"
        }
        if megabytes < 1_000 { return short(megabytes, "MB") }
        return megabytes < 1_024_000 ? short(megabytes / 1_024, "GB") : short(megabytes / 1_048_576, "TB")
    }
}
