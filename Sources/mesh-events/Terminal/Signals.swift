import Foundation
import Synchronization

#if canImport(CDispatch)
    // The compiler finds the system's C structures there as soon as a dependency imports it.
    import CDispatch
#endif

/// Turns SIGINT, SIGTERM and SIGHUP into a request to stop; a second SIGINT or SIGTERM ends the process at once. SIGHUP
/// can have another action.
///
/// It installs handlers and does not ignore signals: a server that is started as a child would inherit ignored signals.
enum Signals {
    /// A signal this soon after the first, in nanoseconds, belongs to it: `timeout` and terminals send some signals
    /// twice.
    private static let sameWish: Int64 = 300_000_000

    private static let writeEnd = Atomic<Int32>(-1)
    private static let first = Atomic<Int64>(0)
    private static let hangupStops = Atomic(true)

    /// Installs the handlers: from now on signals call `stop`.
    ///
    /// - Parameter onHangup: the action of each SIGHUP, instead of a stop.
    static func install(_ stop: StopRequest, onHangup: (@Sendable () -> Void)? = nil) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let readEnd = ends[0]
        writeEnd.store(ends[1], ordering: .releasing)
        first.store(0, ordering: .releasing)
        hangupStops.store(onHangup == nil, ordering: .releasing)
        Thread.detachNewThread {
            var byte: UInt8 = 0
            while true {
                let count = read(readEnd, &byte, 1)
                if count == 1 {
                    if byte == UInt8(SIGHUP), let onHangup { onHangup() } else { stop.stop(.signal) }
                } else if count == 0 || errno != EINTR {
                    return
                }
            }
        }
        handle(SIGINT)
        handle(SIGTERM)
        // `nohup` sets SIGHUP to ignored. It stays ignored as a request to stop, but not with an action of its own.
        if onHangup != nil || !isIgnored(SIGHUP) { handle(SIGHUP) }
    }

    private static func handle(_ number: Int32) {
        var action = sigaction()
        let handler: @convention(c) (Int32) -> Void = { Signals.received($0) }
        #if canImport(Darwin)
            action.__sigaction_u.__sa_handler = handler
        #else
            action.__sigaction_handler.sa_handler = handler
        #endif
        action.sa_flags = Int32(SA_RESTART)
        sigaction(number, &action, nil)
    }

    /// Handles a signal. It uses only what is allowed in a signal handler: atomics, clock_gettime, write, _exit.
    private static func received(_ number: Int32) {
        let savedError = errno
        defer { errno = savedError }
        if number == SIGHUP, !hangupStops.load(ordering: .acquiring) {
            var byte = UInt8(SIGHUP)
            _ = write(writeEnd.load(ordering: .acquiring), &byte, 1)
            return
        }
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let now = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        let (isFirst, before) = first.compareExchange(expected: 0, desired: now, ordering: .acquiringAndReleasing)
        if isFirst {
            var byte = UInt8(truncatingIfNeeded: number)
            _ = write(writeEnd.load(ordering: .acquiring), &byte, 1)
        } else if number != SIGHUP, now - before > sameWish {
            _exit(128 + number)
        }
    }

    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        sigaction(number, nil, &action)
        #if canImport(Darwin)
            let handler = action.__sigaction_u.__sa_handler
        #else
            let handler = action.__sigaction_handler.sa_handler
        #endif
        return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }
}
