import Foundation
import MeshConcurrency
import MeshEvents

/// Reads this machine's use of processors, memory and disk: on Linux from /proc, on macOS from the kernel.
public final class NodeHealthSampler: Sendable {
    private let storePath: String
    private let previous = Locked<CPUTimes?>(nil)

    /// Creates a sampler.
    ///
    /// - Parameter storePath: a path on the file system whose free space is read; it need not exist yet.
    public init(storePath: String = "/") {
        self.storePath = storePath
    }

    /// Reads the figures; processor use is that since the previous call.
    public func sample() -> NodeResources {
        var resources = NodeResources(load: Machine.load(), diskFreeMB: DiskSpace.freeMB(at: storePath))
        if let memory = Machine.memory() {
            resources.memoryUsedMB = memory.usedMB
            resources.memoryTotalMB = memory.totalMB
        }
        if let times = Machine.cpuTimes() {
            let before = previous.withLock { previous in
                defer { previous = times }
                return previous
            }
            resources.cpu = before.flatMap { times.use(since: $0) }
        }
        return resources
    }
}

#if !canImport(Darwin)
    /// The figures of this machine, from /proc.
    enum Machine {
        static func cpuTimes() -> CPUTimes? { text("/proc/stat").flatMap { ProcFile.cpuTimes(stat: $0) } }
        static func load() -> [Double]? { text("/proc/loadavg").flatMap { ProcFile.load(loadavg: $0) } }
        static func memory() -> MemoryFigures? { text("/proc/meminfo").flatMap { ProcFile.memory(meminfo: $0) } }

        private static func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
    }
#endif
