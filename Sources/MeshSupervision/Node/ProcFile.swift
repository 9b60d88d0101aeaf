/// Reads the texts of Linux's /proc; see proc(5).
enum ProcFile {
    /// The processor times in the first line of /proc/stat, the sum over all processors.
    static func cpuTimes(stat: String) -> CPUTimes? {
        guard let line = stat.split(whereSeparator: \.isNewline).first, line.hasPrefix("cpu ") else { return nil }
        // user nice system idle iowait irq softirq steal; guest time is part of user.
        let fields = line.split(separator: " ").dropFirst().map { UInt64($0) }
        guard fields.count >= 4, !fields.contains(nil) else { return nil }
        let ticks = fields.compactMap(\.self).prefix(8)
        let idle = ticks[ticks.startIndex + 3] &+ (ticks.count > 4 ? ticks[ticks.startIndex + 4] : 0)
        return CPUTimes(busy: ticks.reduce(0, &+) &- idle, idle: idle)
    }

    /// The load over 1, 5 and 15 minutes in /proc/loadavg.
    static func load(loadavg: String) -> [Double]? {
        let fields = loadavg.split(whereSeparator: \.isWhitespace).prefix(3).compactMap { Double($0) }
        return fields.count == 3 && fields.allSatisfy(\.isFinite) ? fields : nil
    }

    /// The memory figures in /proc/meminfo. Memory that a process could get without swapping does not count as used.
    static func memory(meminfo: String) -> MemoryFigures? {
        var kilobytes: [Substring: Int] = [:]
        for line in meminfo.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].split(separator: " ").first.flatMap { Int($0) }
            if let value, value >= 0 { kilobytes[line[..<colon]] = value }
        }
        guard let total = kilobytes["MemTotal"] else { return nil }
        // Kernels before 3.14 have no MemAvailable.
        let free = ["MemFree", "Buffers", "Cached"].compactMap { kilobytes[$0] }
        guard let available = kilobytes["MemAvailable"] ?? (free.isEmpty ? nil : free.reduce(0, &+)) else { return nil }
        return MemoryFigures(usedMB: max(0, total &- available) / 1024, totalMB: total / 1024)
    }
}
