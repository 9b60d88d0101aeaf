import ArgumentParser
import Foundation
import Synchronization

#if canImport(CDispatch)
    // The compiler finds the system's C structures there as soon as a dependency imports it.
    import CDispatch
#endif

/// A command that says by ``Signals`` what SIGINT, SIGTERM and SIGHUP do, soon after it has begun.
protocol SignalHandlingCommand: AsyncParsableCommand {}

/// Turns SIGINT, SIGTERM and SIGHUP into a request to stop; a second SIGINT or SIGTERM ends the process at once. SIGHUP
/// can have another action.
///
/// It installs handlers and does not ignore signals: a server that is started as a child would inherit ignored signals.
///
/// The handlers are there from the first step of `main`, and keep what comes until the command has said what it does. Without
/// them it would end the process, or be lost: the system gives the first process of a container no signal without a handler.
enum Signals {
    /// A signal this soon after the first, in nanoseconds, belongs to it: `timeout` and terminals send some signals
    /// twice.
    private static let sameWish: Int64 = 300_000_000

    private static let writeEnd = Atomic<Int32>(-1)
    /// When the first signal came that is a request to stop; 0 when none has.
    private static let first = Atomic<Int64>(0)
    private static let firstNumber = Atomic<Int32>(0)
    private static let hangupStops = Atomic(true)
    /// Whether a SIGHUP waits for its action: those that come meanwhile have the same wish.
    private static let hangupWaits = Atomic(false)
    /// Whether it is not known yet what signals do.
    private static let isHeld = Atomic(false)
    /// Whether SIGHUP was ignored when this process began.
    private static let ignoredHangup = Atomic(false)

    /// Keeps signals for ``install(_:onHangup:)``, or for ``release()`` when the command does not handle them. To be called
    /// first.
    static func hold() {
        ignoredHangup.store(isIgnored(SIGHUP), ordering: .relaxed)
        hangupStops.store(false, ordering: .relaxed)
        // Each is made when it is first used, which must not be in a handler.
        hangupWaits.store(false, ordering: .relaxed)
        first.store(0, ordering: .relaxed)
        firstNumber.store(0, ordering: .relaxed)
        writeEnd.store(-1, ordering: .relaxed)
        isHeld.store(true, ordering: .sequentiallyConsistent)
        for number in [SIGINT, SIGTERM] where !isIgnored(number) { handle(number) }
        handle(SIGHUP)
    }

    /// Gives the signals their usual effect again; one that has come has it now.
    static func release() {
        guard isHeld.exchange(false, ordering: .sequentiallyConsistent) else { return }
        for number in [SIGINT, SIGTERM] where !isIgnored(number) { signal(number, SIG_DFL) }
        let ignoresHangup = ignoredHangup.load(ordering: .relaxed)
        if ignoresHangup {
            signal(SIGHUP, SIG_IGN)
        } else {
            signal(SIGHUP, SIG_DFL)
            if hangupWaits.load(ordering: .sequentiallyConsistent) { raise(SIGHUP) }
        }
        let number = firstNumber.load(ordering: .sequentiallyConsistent)
        if number != 0 { raise(number) }
    }

    /// Installs the handlers: from now on signals call `stop`, and one that has come already does.
    ///
    /// - Parameter onHangup: the action of SIGHUP, instead of a stop. It is called on one thread, once for all those that
    ///   come while another call is under way.
    static func install(_ stop: StopRequest, onHangup: (@Sendable () -> Void)? = nil) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            let reason = "signals cannot be handled: \(String(cString: strerror(errno)))"
            return stop.stop(.failed(CommandFailure(.unavailable, reason)))
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let readEnd = ends[0]
        let wasHeld = isHeld.exchange(false, ordering: .sequentiallyConsistent)
        let ignoresHangup = wasHeld ? ignoredHangup.load(ordering: .relaxed) : isIgnored(SIGHUP)
        if !wasHeld {
            first.store(0, ordering: .sequentiallyConsistent)
            hangupWaits.store(false, ordering: .sequentiallyConsistent)
        }
        hangupStops.store(onHangup == nil, ordering: .sequentiallyConsistent)
        writeEnd.store(ends[1], ordering: .sequentiallyConsistent)
        Thread.detachNewThread {
            var byte: UInt8 = 0
            while true {
                let count = read(readEnd, &byte, 1)
                if count == 1 {
                    guard byte == UInt8(SIGHUP), let onHangup else {
                        stop.stop(.signal)
                        continue
                    }
                    // Before the action: what comes from now on may be about what it does not see any more.
                    hangupWaits.store(false, ordering: .sequentiallyConsistent)
                    onHangup()
                } else if count == 0 || errno != EINTR {
                    return
                }
            }
        }
        handle(SIGINT)
        handle(SIGTERM)
        // `nohup` sets SIGHUP to ignored. It stays ignored as a request to stop, but not with an action of its own.
        if onHangup != nil || !ignoresHangup { handle(SIGHUP) } else { signal(SIGHUP, SIG_IGN) }
        // What has come before the pipe was there.
        if first.load(ordering: .sequentiallyConsistent) != 0 { stop.stop(.signal) }
        guard hangupWaits.load(ordering: .sequentiallyConsistent) else { return }
        if onHangup != nil { send(SIGHUP) } else if !ignoresHangup { stop.stop(.signal) }
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
        if number == SIGHUP, !hangupStops.load(ordering: .sequentiallyConsistent) {
            if !hangupWaits.exchange(true, ordering: .sequentiallyConsistent) { send(SIGHUP) }
            return
        }
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let now = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        let (isFirst, before) = first.compareExchange(expected: 0, desired: now, ordering: .sequentiallyConsistent)
        if isFirst {
            firstNumber.store(number, ordering: .sequentiallyConsistent)
            send(number)
        } else if number != SIGHUP, now - before > sameWish {
            _exit(128 + number)
        }
    }

    /// Tells the thread that a signal has come; ``install(_:onHangup:)`` looks itself for what comes before there is one.
    private static func send(_ number: Int32) {
        let end = writeEnd.load(ordering: .sequentiallyConsistent)
        guard end >= 0 else { return }
        var byte = UInt8(truncatingIfNeeded: number)
        _ = write(end, &byte, 1)
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
