#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The signal that asks a tool to end.
///
/// It goes to all processes of the tool. What has not ended after the grace period is killed.
public enum StopSignal: String, Sendable, Hashable, CaseIterable {
    /// `SIGTERM`, the default.
    case term = "SIGTERM"
    /// `SIGINT`, which a Ctrl-C sends.
    case int = "SIGINT"
    /// `SIGQUIT`; several servers finish their requests at it.
    case quit = "SIGQUIT"
    /// `SIGHUP`.
    case hup = "SIGHUP"
    /// `SIGUSR1`.
    case usr1 = "SIGUSR1"
    /// `SIGUSR2`.
    case usr2 = "SIGUSR2"
    /// `SIGWINCH`.
    case winch = "SIGWINCH"

    /// A signal by its name, with or without `SIG`, in any case; `nil` for another.
    public init?(_ name: String) {
        let name = name.uppercased()
        guard let signal = Self(rawValue: name.hasPrefix("SIG") ? name : "SIG" + name) else { return nil }
        self = signal
    }

    /// The system's number.
    var number: Int32 {
        switch self {
        case .term: SIGTERM
        case .int: SIGINT
        case .quit: SIGQUIT
        case .hup: SIGHUP
        case .usr1: SIGUSR1
        case .usr2: SIGUSR2
        case .winch: SIGWINCH
        }
    }
}
