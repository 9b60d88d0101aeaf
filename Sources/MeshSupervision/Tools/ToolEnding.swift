import ProcessGuard

/// Describes the end of a tool's process.
enum ToolEnding {
    /// Why it failed: `exited with code 3`, `killed by signal 9 (SIGKILL)`; `nil` for an exit with code 0.
    static func error(_ end: ProcessEnd, hasLostGuard: Bool) -> String? {
        switch end {
        case .exited(code: 0): nil
        case .exited(let code): "exited with code \(code)"
        case .signaled(let signal):
            "killed by signal \(signal)" + (names[signal].map { " (\($0))" } ?? "")
                + (hasLostGuard ? ", since its guard process was killed" : "")
        case .notLaunched(let reason): reason
        }
    }

    /// The code of an end as in a shell: 128 and the signal's number for one by a signal; `nil` when it never ran.
    static func code(_ end: ProcessEnd) -> Int? {
        switch end {
        case .exited(let code): Int(code)
        case .signaled(let signal): 128 + Int(signal)
        case .notLaunched: nil
        }
    }

    /// The signals that end processes, with the numbers that Linux and macOS share, then those that differ.
    private static let names: [Int32: String] = {
        var names: [Int32: String] = [
            1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 8: "SIGFPE", 9: "SIGKILL",
            11: "SIGSEGV", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ", 26: "SIGVTALRM",
            27: "SIGPROF",
        ]
        #if os(Linux)
            names.merge([7: "SIGBUS", 10: "SIGUSR1", 12: "SIGUSR2", 16: "SIGSTKFLT", 29: "SIGIO", 31: "SIGSYS"]) { $1 }
        #else
            names.merge([7: "SIGEMT", 10: "SIGBUS", 12: "SIGSYS", 30: "SIGUSR1", 31: "SIGUSR2"]) { $1 }
        #endif
        return names
    }()
}
