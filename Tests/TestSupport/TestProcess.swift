import Foundation

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// What the system knows of processes. A zombie counts as ended: the process that inherited it may take time to reap it.
public enum TestProcess {
    /// Whether the process runs.
    public static func exists(_ pid: Int32) -> Bool {
        guard kill(pid, 0) == 0 else { return false }
        return !isZombie(pid)
    }

    /// Sends it a signal, e.g. `SIGKILL`.
    public static func signal(_ pid: Int32, _ signal: Int32) {
        precondition(pid > 1)
        kill(pid, signal)
    }

    /// Whether every thread of the process is suspended: `SIGSTOP` takes a moment to reach them all.
    public static func isSuspended(_ pid: Int32) -> Bool {
        #if os(Linux)
            let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
            return !threads.isEmpty && threads.allSatisfy { state("/proc/\(pid)/task/\($0)/stat") == "T" }
        #else
            return true
        #endif
    }

    /// The number of its process group.
    public static func group(of pid: Int32) -> Int32 { getpgid(pid) }

    /// Whether a process of the group runs.
    public static func groupExists(_ group: Int32) -> Bool { !groupMembers(of: group).isEmpty }

    /// The processes of a group, zombies left out.
    public static func groupMembers(of group: Int32) -> [Int32] {
        allProcesses().filter { getpgid($0) == group && exists($0) }
    }

    #if os(Linux)
        private static func allProcesses() -> [Int32] {
            ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { Int32($0) }
        }

        private static func isZombie(_ pid: Int32) -> Bool {
            guard let fields = fields("/proc/\(pid)/stat") else { return true }
            // A process whose first thread has ended while others go on is no zombie.
            return fields.first == "Z" && fields.dropFirst(17).first == "1"
        }

        /// The state of a process or thread; `nil` when it has ended.
        private static func state(_ file: String) -> Character? { fields(file)?.first?.first }

        /// What follows the name; `nil` when it has ended.
        private static func fields(_ file: String) -> [Substring]? {
            guard let stat = FileManager.default.contents(atPath: file) else { return nil }
            // pid (name) state …; the name may hold spaces and parentheses.
            let text = String(decoding: stat, as: UTF8.self)
            return text.lastIndex(of: ")").map { text[$0...].dropFirst().split(separator: " ") }
        }
    #else
        private static func allProcesses() -> [Int32] {
            var pids = [pid_t](repeating: 0, count: 16_384)
            let bytes = proc_listpids(UInt32(PROC_ALL_PIDS), 0, &pids, Int32(pids.count * MemoryLayout<pid_t>.size))
            return pids.prefix(max(0, Int(bytes)) / MemoryLayout<pid_t>.size).filter { $0 > 0 }
        }

        private static func isZombie(_ pid: Int32) -> Bool {
            var info = proc_bsdshortinfo()
            let size = Int32(MemoryLayout<proc_bsdshortinfo>.size)
            return proc_pidinfo(pid, PROC_PIDT_SHORTBSDINFO, 0, &info, size) != size || info.pbsi_status == SZOMB
        }
    #endif
}
