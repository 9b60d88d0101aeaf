import Foundation
import Synchronization

/// How much memory this process occupies, looked at again and again by a thread of its own.
final class ResidentMemory: Sendable {
    private let peak: Mutex<Int>
    private let isStopped = Atomic(false)
    /// Before anything was measured, in bytes.
    private let before: Int

    /// Gives back what has been freed before, and begins to look.
    init() {
        Self.giveBack()
        let before = Self.current()
        self.before = before
        peak = Mutex(before)
        Thread.detachNewThread { [self] in
            while !isStopped.load(ordering: .relaxed) {
                look()
                usleep(20_000)
            }
        }
    }

    /// By how many bytes the memory had grown at most until now.
    func growth() -> Int {
        look()
        return peak.withLock { $0 } - before
    }

    /// The most bytes that the memory had until now.
    func most() -> Int {
        look()
        return peak.withLock { $0 }
    }

    /// Looks no longer.
    func stop() { isStopped.store(true, ordering: .relaxed) }

    /// Glibc keeps what has been freed; its function for that is in no module.
    private static func giveBack() {
        guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "malloc_trim") else { return }
        _ = unsafeBitCast(symbol, to: (@convention(c) (Int) -> Int32).self)(0)
    }

    private func look() {
        let current = Self.current()
        peak.withLock { $0 = max($0, current) }
    }

    #if os(Linux)
        private static func current() -> Int {
            guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
            let fields = text.split(separator: " ")
            return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) : 0
        }
    #else
        private static func current() -> Int {
            var info = mach_task_basic_info()
            var count = mach_msg_type_number_t(MemoryLayout.size(ofValue: info) / MemoryLayout<natural_t>.size)
            let status = withUnsafeMutablePointer(to: &info) { info in
                info.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
                    task_info(mach_task_self_, task_flavor_t(MACH_TASK_BASIC_INFO), $0, &count)
                }
            }
            return status == KERN_SUCCESS ? Int(info.resident_size) : 0
        }
    #endif
}
