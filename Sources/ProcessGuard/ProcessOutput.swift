import Dispatch
import Foundation
import MeshConcurrency
import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A piece of a process's output.
package enum ProcessOutput: Sendable, Hashable {
    /// The stream that a line came from.
    package enum Stream: String, Sendable, Hashable {
        /// Standard output.
        case stdout
        /// Standard error.
        case stderr
    }

    /// A line as ``LineSplitter`` makes it, without its line break. Of one that is too long the middle is cut, and its text
    /// says so.
    case line(Stream, String)
    /// A line beyond the limits, which counts as dropped; only with ``OutputLimits/passesExcess``.
    case excess(Stream, String)
    /// The number of lines that were dropped, because there were too many at once.
    case dropped(Int)
}

/// How much of a process's output is passed on.
package struct OutputLimits: Sendable, Hashable {
    /// The longest line, in bytes; the middle of a longer one is cut. The default is 8 KiB.
    package var lineLength = 8 << 10
    /// The most lines in a second; the default is 1 000.
    package var linesPerSecond = 1_000
    /// The most bytes in a second; the default is 1 MiB.
    package var bytesPerSecond = 1 << 20
    /// Whether lines beyond these limits are passed on as ``ProcessOutput/excess(_:_:)``.
    package var passesExcess = false
    /// After how long without more bytes a line that has not ended is passed on, about: it is looked at five times a
    /// second. `nil`, the default, is when it ends.
    package var pause: Duration?

    /// The defaults.
    package init() {}
}

/// Reads one stream of a process, line by line, in bounded memory.
///
/// It calls the handler on one queue. A slow handler slows the process down, through the pipe, as any slow reader does.
///
/// A thread waits for the pipe. A Dispatch source would need none, but on Linux, Dispatch (Swift 6.3) sometimes crashes
/// when sources of pipes are cancelled while others reach their end.
final class OutputReader: Sendable {
    private struct State {
        var splitter: LineSplitter
        var allowance: OutputAllowance
        var buffer: [UInt8]
        /// How many bytes the last read has brought.
        var lastCount = 0
        var isReminded = false
    }

    /// A pipe's usual capacity.
    private static let chunk = 64 << 10
    /// The sizes of the buffers in which programs keep their output back are multiples of this.
    private static let bufferUnit = 1 << 10

    private let stream: ProcessOutput.Stream
    private let queue: DispatchQueue
    private let handler: @Sendable ([ProcessOutput]) -> Void
    private let passesExcess: Bool
    private let pause: Duration?
    private let state: Mutex<State>
    private let isGivenUp = Atomic(false)
    private let ended = OneShot<Void>()

    /// Begins to read.
    ///
    /// - Parameters:
    ///   - descriptor: The pipe to read; must be non-blocking. It is closed at the end.
    ///   - handler: Is called with all that one read has brought.
    init(
        _ stream: ProcessOutput.Stream,
        descriptor: Int32,
        limits: OutputLimits,
        queue: DispatchQueue,
        handler: @escaping @Sendable ([ProcessOutput]) -> Void
    ) {
        self.stream = stream
        self.queue = queue
        passesExcess = limits.passesExcess
        pause = limits.pause
        self.handler = handler
        state = Mutex(
            State(
                splitter: LineSplitter(limit: limits.lineLength),
                allowance: OutputAllowance(limits),
                buffer: [UInt8](repeating: 0, count: Self.chunk)
            )
        )
        // The thread keeps the reader alive until the end.
        Thread.detachNewThread { self.run(descriptor) }
    }

    /// How often a waiting reader checks whether it was given up, and whether the process pauses, in milliseconds.
    private static let patience: Int32 = 200

    private func run(_ descriptor: Int32) {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        // When bytes came last, until the pause after them has been noticed.
        var lastRead: ContinuousClock.Instant?
        while !isGivenUp.load(ordering: .relaxed) {
            let ready = poll(&wanted, 1, Self.patience)
            guard ready >= 0 || errno == EINTR else { break }
            if ready > 0 {
                guard queue.sync(execute: { read(descriptor) }) else { break }
                lastRead = .now
            } else if ready == 0, let pause, let since = lastRead, .now - since >= pause {
                lastRead = nil
                queue.sync { passUnfinished() }
            }
        }
        close(descriptor)
        queue.sync { finish() }
    }

    /// Reads a chunk and passes its lines on; returns whether there may be more.
    private func read(_ descriptor: Int32) -> Bool {
        let (said, isOver) = state.withLock { state -> ([ProcessOutput], Bool) in
            let count = state.buffer.withUnsafeMutableBytes {
                #if canImport(Darwin)
                    Darwin.read(descriptor, $0.baseAddress, $0.count)
                #elseif canImport(Musl)
                    Musl.read(descriptor, $0.baseAddress, $0.count)
                #else
                    Glibc.read(descriptor, $0.baseAddress, $0.count)
                #endif
            }
            guard count > 0 else { return ([], count == 0 || (errno != EAGAIN && errno != EINTR)) }
            state.lastCount = count
            var said: [ProcessOutput] = []
            if let dropped = state.allowance.begin(at: .now) { said.append(.dropped(dropped)) }
            state.buffer.withUnsafeBytes { bytes in
                state.splitter.append(UnsafeRawBufferPointer(rebasing: bytes[..<count])) { line in
                    if let line = admit(line, &state.allowance) { said.append(line) }
                }
            }
            remind(&state)
            return (said, false)
        }
        if !said.isEmpty { handler(said) }
        return !isOver
    }

    /// Passes on what there is of a line whose end does not come.
    private func passUnfinished() {
        let said = state.withLock { state -> [ProcessOutput] in
            // A full buffer of a program that keeps its output back: the rest of its last line comes with the next one.
            guard !state.lastCount.isMultiple(of: Self.bufferUnit) else { return [] }
            var said: [ProcessOutput] = []
            if let dropped = state.allowance.begin(at: .now) { said.append(.dropped(dropped)) }
            state.splitter.pause { line in
                if let line = admit(line, &state.allowance) { said.append(line) }
            }
            remind(&state)
            return said
        }
        if !said.isEmpty { handler(said) }
    }

    private func admit(_ line: UnsafeRawBufferPointer, _ allowance: inout OutputAllowance) -> ProcessOutput? {
        let isAdmitted = allowance.admits(line.count)
        guard isAdmitted || passesExcess else { return nil }
        let text = String(decoding: line, as: UTF8.self)
        return isAdmitted ? .line(stream, text) : .excess(stream, text)
    }

    /// Schedules the report of dropped lines, in case the process writes nothing more.
    private func remind(_ state: inout State) {
        guard state.allowance.hasDropped, !state.isReminded else { return }
        state.isReminded = true
        queue.asyncAfter(deadline: .now() + .seconds(1)) {
            let dropped = self.state.withLock { state in
                state.isReminded = false
                return state.allowance.takeDropped()
            }
            if let dropped { self.handler([.dropped(dropped)]) }
        }
    }

    private func finish() {
        let said = state.withLock { state -> [ProcessOutput] in
            var said: [ProcessOutput] = []
            state.splitter.finish { line in
                if let line = admit(line, &state.allowance) { said.append(line) }
            }
            if let dropped = state.allowance.takeDropped() { said.append(.dropped(dropped)) }
            return said
        }
        if !said.isEmpty { handler(said) }
        ended.fulfil(())
    }

    /// Waits until all output has been read. It gives up after `timeout`, because an escaped descendant may hold the
    /// pipe.
    func waitForEnd(atMost timeout: Duration) async {
        if (try? await ended.wait(atMost: timeout)) == nil { isGivenUp.store(true, ordering: .relaxed) }
    }
}

/// Limits the lines and bytes per second, and counts the lines that it drops.
package struct OutputAllowance: Sendable {
    private let limits: OutputLimits
    private var windowStart: ContinuousClock.Instant?
    private var lines = 0
    private var bytes = 0
    private var dropped = 0

    package init(_ limits: OutputLimits) {
        self.limits = limits
    }

    /// Begins another second when the last one is over.
    ///
    /// - Returns: How many lines were dropped, when another second begins and there were some.
    package mutating func begin(at now: ContinuousClock.Instant) -> Int? {
        if let windowStart, now - windowStart < .seconds(1) { return nil }
        windowStart = now
        lines = 0
        bytes = 0
        return takeDropped()
    }

    /// Whether a line of `count` bytes is within the limits; otherwise it counts as dropped.
    package mutating func admits(_ count: Int) -> Bool {
        guard lines < limits.linesPerSecond, bytes + count <= max(limits.bytesPerSecond, limits.lineLength) else {
            dropped += 1
            return false
        }
        lines += 1
        bytes += count
        return true
    }

    /// Whether lines were dropped that ``takeDropped()`` has not returned yet.
    package var hasDropped: Bool { dropped > 0 }

    /// How many lines were dropped since the last call; `nil` for none.
    package mutating func takeDropped() -> Int? {
        defer { dropped = 0 }
        return dropped > 0 ? dropped : nil
    }
}
