#if canImport(Darwin)
    import Darwin

    /// The figures of this machine, from the kernel.
    enum Machine {
        /// Read once: every call of `mach_host_self` takes another reference to the port.
        private static let host = mach_host_self()

        static func cpuTimes() -> CPUTimes? {
            var info = host_cpu_load_info()
            guard read(&info, HOST_CPU_LOAD_INFO, host_statistics) else { return nil }
            let (user, system, idle, nice) = info.cpu_ticks
            return CPUTimes(busy: UInt64(user) + UInt64(system) + UInt64(nice), idle: UInt64(idle))
        }

        static func load() -> [Double]? {
            var load = [0.0, 0.0, 0.0]
            return getloadavg(&load, 3) == 3 ? load : nil
        }

        static func memory() -> MemoryFigures? {
            var total: UInt64 = 0
            var size = MemoryLayout<UInt64>.size
            var info = vm_statistics64()
            guard sysctlbyname("hw.memsize", &total, &size, nil, 0) == 0,
                read(&info, HOST_VM_INFO64, host_statistics64)
            else { return nil }
            // Counted as in Activity Monitor: active, wired and compressed pages.
            let pages =
                UInt64(info.active_count) + UInt64(info.wire_count) + UInt64(info.compressor_page_count)
            return MemoryFigures(
                usedMB: Int(pages * UInt64(sysconf(_SC_PAGESIZE)) >> 20),
                totalMB: Int(total >> 20)
            )
        }

        private static func read<Info>(
            _ info: inout Info,
            _ flavor: Int32,
            _ call: (host_t, host_flavor_t, host_info_t, UnsafeMutablePointer<mach_msg_type_number_t>) -> kern_return_t
        ) -> Bool {
            let words = MemoryLayout<Info>.stride / MemoryLayout<integer_t>.stride
            var count = mach_msg_type_number_t(words)
            return withUnsafeMutablePointer(to: &info) { pointer in
                pointer.withMemoryRebound(to: integer_t.self, capacity: words) { call(host, flavor, $0, &count) }
            } == KERN_SUCCESS
        }
    }
#endif
