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
            guard let stat = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return true }
            // pid (name) state …; the name may hold spaces and parentheses.
            let text = String(decoding: stat, as: UTF8.self)
            guard let end = text.lastIndex(of: ")") else { return true }
            return text[end...].dropFirst(2).first == "Z"
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
