#if canImport(Darwin)
    import Darwin

    /// Reads processes from the kernel. Only those of the same user tell their figures.
    struct DarwinProcesses: ProcessSource {
        /// The most processes that are read at once.
        private static let maximumProcesses = 65_536

        /// Times are in nanoseconds.
        let ticksPerSecond = 1e9
        let passesIOOn = false
        let own = (pid: getpid(), session: getsid(0), group: getpgrp())
        /// Nanoseconds of a tick of the kernel's clock.
        private let timebase: Double

        init() {
            var info = mach_timebase_info_data_t()
            let isKnown = mach_timebase_info(&info) == KERN_SUCCESS && info.denom > 0
            timebase = isKnown ? Double(info.numer) / Double(info.denom) : 1
        }

        /// The kernel tells the starts of processes by the wall clock.
        var now: UInt64 {
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            return UInt64(max(0, time.tv_sec)) * 1_000_000_000 + UInt64(max(0, time.tv_nsec))
        }

        mutating func processes() -> [ProcessSample]? {
            let count = Int(proc_listallpids(nil, 0))
            guard count > 0 else { return nil }
            // Some may start meanwhile.
            var pids = [pid_t](repeating: 0, count: min(count + 64, Self.maximumProcesses))
            let found = Int(proc_listallpids(&pids, Int32(pids.count * MemoryLayout<pid_t>.stride)))
            return pids.prefix(max(0, found)).compactMap { $0 > 0 ? sample($0) : nil }
        }

        private func sample(_ pid: pid_t) -> ProcessSample? {
            var info = proc_bsdinfo()
            guard Self.read(pid, PROC_PIDTBSDINFO, &info) else { return nil }
            let start = info.pbi_start_tvsec * 1_000_000_000 + info.pbi_start_tvusec * 1_000
            var sample = ProcessSample(
                pid: pid,
                parent: pid_t(truncatingIfNeeded: info.pbi_ppid),
                group: pid_t(truncatingIfNeeded: info.pbi_pgid),
                session: getsid(pid),
                start: start
            )
            sample.isZombie = info.pbi_status == UInt32(SZOMB)
            var task = proc_taskinfo()
            guard Self.read(pid, PROC_PIDTASKINFO, &task) else { return sample }
            sample.ticks = nanoseconds(task.pti_total_user &+ task.pti_total_system)
            sample.threads = Int(task.pti_threadnum)
            sample.memory = task.pti_resident_size
            sample.faults = UInt64(max(0, task.pti_faults))
            if let usage = Self.usage(pid) {
                sample.childTicks = nanoseconds(usage.ri_child_user_time &+ usage.ri_child_system_time)
            }
            return sample
        }

        func io(of pid: Int32) -> Readable<ProcessIO> {
            guard let usage = Self.usage(pid) else { return errno == ESRCH ? .gone : .refused }
            return .value(ProcessIO(read: usage.ri_diskio_bytesread, written: usage.ri_diskio_byteswritten))
        }

        func files(of pid: Int32) -> Readable<Int> {
            // Without a buffer it says how many bytes the list may take, which is more than it does.
            let size = proc_pidinfo(pid, PROC_PIDLISTFDS, 0, nil, 0)
            guard size > 0 else { return errno == ESRCH ? .gone : .refused }
            let capacity = Int(size) / MemoryLayout<proc_fdinfo>.stride + 8
            var list = [proc_fdinfo](repeating: proc_fdinfo(), count: capacity)
            let bytes = Int32(capacity * MemoryLayout<proc_fdinfo>.stride)
            let used = proc_pidinfo(pid, PROC_PIDLISTFDS, 0, &list, bytes)
            guard used >= 0 else { return errno == ESRCH ? .gone : .refused }
            return .value(Int(used) / MemoryLayout<proc_fdinfo>.stride)
        }

        /// Neither environments nor limits of others can be read.
        func marks(of pid: Int32) -> InheritedMarks { InheritedMarks() }

        private func nanoseconds(_ ticks: UInt64) -> UInt64 { UInt64(Double(ticks) * timebase) }

        private static func read<Info>(_ pid: pid_t, _ flavor: Int32, _ info: inout Info) -> Bool {
            let size = Int32(MemoryLayout<Info>.size)
            return proc_pidinfo(pid, flavor, 0, &info, size) == size
        }

        private static func usage(_ pid: pid_t) -> rusage_info_v2? {
            var usage = rusage_info_v2()
            let result = withUnsafeMutablePointer(to: &usage) { pointer in
                pointer.withMemoryRebound(to: rusage_info_t?.self, capacity: 1) {
                    proc_pid_rusage(pid, RUSAGE_INFO_V2, $0)
                }
            }
            return result == 0 ? usage : nil
        }
    }
#endif
