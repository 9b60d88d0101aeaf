import MeshEvents

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A machine's processor, memory and disk figures. A figure that cannot be read is `nil`.
public struct NodeResources: Sendable, Hashable {
    /// The part of all processors' time that was used since the previous sample, from 0 to 1; `nil` in the first.
    public var cpu: Double?
    /// The load over 1, 5 and 15 minutes: how many tasks ran or waited to run.
    public var load: [Double]?
    /// Memory in use, in units of 2²⁰ bytes, without reclaimable caches.
    public var memoryUsedMB: Int?
    /// The machine's memory, in units of 2²⁰ bytes.
    public var memoryTotalMB: Int?
    /// The free space for this user on the store's file system, in units of 2²⁰ bytes.
    public var diskFreeMB: Int?
    /// The machine's GPUs; `nil` when it has none, or none that answers.
    public var gpus: [GPUDevice]?

    /// Creates figures.
    public init(
        cpu: Double? = nil,
        load: [Double]? = nil,
        memoryUsedMB: Int? = nil,
        memoryTotalMB: Int? = nil,
        diskFreeMB: Int? = nil,
        gpus: [GPUDevice]? = nil
    ) {
        self.cpu = cpu
        self.load = load
        self.memoryUsedMB = memoryUsedMB
        self.memoryTotalMB = memoryTotalMB
        self.diskFreeMB = diskFreeMB
        self.gpus = gpus
    }

    /// The figures under the names they are published by; those that are unknown are left out.
    var members: [String: JSONValue] {
        var members: [String: JSONValue] = [:]
        members["cpu"] = cpu.map { JSONValue(($0 * 1000).rounded() / 1000) }
        members["load"] = load.map { JSONValue($0.map { JSONValue(($0 * 100).rounded() / 100) }) }
        members["mem_used_mb"] = memoryUsedMB.map { JSONValue($0) }
        members["mem_total_mb"] = memoryTotalMB.map { JSONValue($0) }
        members["disk_free_mb"] = diskFreeMB.map { JSONValue($0) }
        members["gpus"] = gpus.map { .array($0.prefix(GPUDevice.maximumPublished).map(\.json)) }
        return members
    }
}

/// Time the processors have spent since the machine's start, in ticks.
struct CPUTimes: Sendable, Equatable {
    let busy: UInt64
    let idle: UInt64

    /// The part of the time since `earlier` that was used; `nil` when no time has passed, or counters went backwards.
    func use(since earlier: CPUTimes) -> Double? {
        guard busy >= earlier.busy, idle >= earlier.idle else { return nil }
        let used = busy - earlier.busy
        let (total, isTooLarge) = used.addingReportingOverflow(idle - earlier.idle)
        guard total > 0, !isTooLarge else { return nil }
        return Double(used) / Double(total)
    }
}

struct MemoryFigures: Sendable, Equatable {
    let usedMB: Int
    let totalMB: Int
}

/// Free space of file systems.
enum DiskSpace {
    /// The free space for this user on the file system that holds a path, in units of 2²⁰ bytes; `nil` when it cannot
    /// be read. For a path that does not exist yet, the nearest existing directory above it counts.
    static func freeMB(at path: String) -> Int? {
        var path = path[...]
        while true {
            var status = statvfs()
            if statvfs(path.isEmpty ? "." : String(path), &status) == 0 {
                let blocks = UInt64(status.f_bavail)
                let (bytes, isTooLarge) = blocks.multipliedReportingOverflow(by: UInt64(status.f_frsize))
                return isTooLarge ? nil : Int(clamping: bytes >> 20)
            }
            guard errno == ENOENT || errno == ENOTDIR, !path.isEmpty, path != "/" else { return nil }
            let parent = path.lastIndex(of: "/").map { path[..<$0] } ?? ""
            path = parent.isEmpty && path.hasPrefix("/") ? "/" : parent
        }
    }
}
