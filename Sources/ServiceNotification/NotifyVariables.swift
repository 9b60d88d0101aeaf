#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// What a service is told in its environment, by the protocol of sd_notify.
package struct NotifyVariables: Sendable {
    /// The names of all of them. They are for one process: what it starts must not have them.
    package static let names = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]

    /// Where messages go, see ``ServiceNotifier``; `nil` when none are wanted.
    package let socket: String?
    /// The longest time between two signs of life; `nil` when none are wanted.
    package let watchdog: Duration?

    /// Reads environment variables. What is wrong in them counts as not set.
    ///
    /// - Parameters:
    ///   - variables: the environment.
    ///   - process: the process that the signs of life have to come from, if `WATCHDOG_PID` says so.
    package init(_ variables: [String: String], process: Int32 = getpid()) {
        socket = variables["NOTIFY_SOCKET"].flatMap { $0.isEmpty ? nil : $0 }
        let microseconds = variables["WATCHDOG_USEC"].flatMap { Int64($0) }.flatMap { $0 > 0 ? $0 : nil }
        let isMeant = variables["WATCHDOG_PID"].map { Int32($0) == process } ?? true
        watchdog = socket == nil || !isMeant ? nil : microseconds.map { .microseconds($0) }
    }
}
