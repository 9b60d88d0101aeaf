#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A signal for a tool's program, by its name.
public struct ToolSignal: Sendable, Hashable, CustomStringConvertible {
    /// Its name, such as `SIGUSR1`.
    public let name: String
    /// The system's number.
    let number: Int32

    /// `SIGHUP`, at which most daemons read their configuration again.
    public static let hangup = ToolSignal(name: "SIGHUP", number: SIGHUP)

    private init(name: String, number: Int32) {
        self.name = name
        self.number = number
    }

    /// A signal by its name, with or without `SIG`, in any case; `nil` for another.
    public init?(_ name: String) {
        let upper = name.uppercased()
        let full = upper.hasPrefix("SIG") ? upper : "SIG" + upper
        guard let number = Self.numbers[full] else { return nil }
        self.init(name: full, number: number)
    }

    /// The names of all signals, sorted.
    public static var names: [String] { numbers.keys.sorted() }

    /// Its name.
    public var description: String { name }

    private static let numbers: [String: Int32] = {
        var numbers = [
            "SIGABRT": SIGABRT, "SIGALRM": SIGALRM, "SIGBUS": SIGBUS, "SIGCHLD": SIGCHLD, "SIGCONT": SIGCONT,
            "SIGFPE": SIGFPE, "SIGHUP": SIGHUP, "SIGILL": SIGILL, "SIGINT": SIGINT, "SIGIO": SIGIO, "SIGKILL": SIGKILL,
            "SIGPIPE": SIGPIPE, "SIGPROF": SIGPROF, "SIGQUIT": SIGQUIT, "SIGSEGV": SIGSEGV, "SIGSTOP": SIGSTOP,
            "SIGSYS": SIGSYS, "SIGTERM": SIGTERM, "SIGTRAP": SIGTRAP, "SIGTSTP": SIGTSTP, "SIGTTIN": SIGTTIN,
            "SIGTTOU": SIGTTOU, "SIGURG": SIGURG, "SIGUSR1": SIGUSR1, "SIGUSR2": SIGUSR2, "SIGVTALRM": SIGVTALRM,
            "SIGWINCH": SIGWINCH, "SIGXCPU": SIGXCPU, "SIGXFSZ": SIGXFSZ,
        ]
        #if os(Linux)
            numbers["SIGPWR"] = SIGPWR
        #else
            numbers["SIGINFO"] = SIGINFO
        #endif
        return numbers
    }()
}
