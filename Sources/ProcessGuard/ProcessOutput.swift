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

    /// A line, without its line break. A line that is too long is cut, and its text says so.
    case line(Stream, String)
    /// A line beyond the limits, which counts as dropped; only with ``OutputLimits/passesExcess``.
    case excess(Stream, String)
    /// The number of lines that were dropped, because there were too many at once.
    case dropped(Int)
}

/// How much of a process's output is passed on.
package struct OutputLimits: Sendable, Hashable {
    /// The longest line, in bytes; the rest of a longer one is cut. The default is 8 KiB.
    package var lineLength = 8 << 10
    /// The most lines in a second; the default is 1 000.
    package var linesPerSecond = 1_000
    /// The most bytes in a second; the default is 1 MiB.
    package var bytesPerSecond = 1 << 20
    /// Whether lines beyond these limits are passed on as ``ProcessOutput/excess(_:_:)``.
    package var passesExcess = false

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
        var isReminded = false
    }

    /// A pipe's usual capacity.
    private static let chunk = 64 << 10

    private let stream: ProcessOutput.Stream
    private let queue: DispatchQueue
    private let handler: @Sendable ([ProcessOutput]) -> Void
    private let passesExcess: Bool
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

    /// How often a waiting reader checks whether it was given up, in milliseconds.
    private static let patience: Int32 = 200

    private func run(_ descriptor: Int32) {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while !isGivenUp.load(ordering: .relaxed) {
            let ready = poll(&wanted, 1, Self.patience)
            guard ready >= 0 || errno == EINTR else { break }
            guard ready > 0 else { continue }
            guard queue.sync(execute: { read(descriptor) }) else { break }
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
            var said: [ProcessOutput] = []
            if let dropped = state.allowance.begin(at: .now) { said.append(.dropped(dropped)) }
            state.buffer.withUnsafeBytes { bytes in
                state.splitter.append(UnsafeRawBufferPointer(rebasing: bytes[..<count])) { line, cut in
                    if let line = admit(line, cut, &state.allowance) { said.append(line) }
                }
            }
            remind(&state)
            return (said, false)
        }
        if !said.isEmpty { handler(said) }
        return !isOver
    }

    private func admit(
        _ line: UnsafeRawBufferPointer,
        _ cut: Int,
        _ allowance: inout OutputAllowance
    ) -> ProcessOutput? {
        let isAdmitted = allowance.admits(line.count)
        guard isAdmitted || passesExcess else { return nil }
        var text = String(decoding: line, as: UTF8.self)
        if cut > 0 { text += " … \(cut) bytes cut" }
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
            state.splitter.finish { line, cut in
                if let line = admit(line, cut, &state.allowance) { said.append(line) }
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

/// Splits bytes into lines, in bounded memory even for an endless line.
package struct LineSplitter: Sendable {
    private let limit: Int
    private var partial: [UInt8] = []
    private var cut = 0

    /// Creates a splitter.
    ///
    /// - Parameter limit: The longest line, in bytes; the rest of a longer one is cut.
    package init(limit: Int) {
        self.limit = limit
    }

    /// Takes bytes and calls `line` with each completed line, and with the number of bytes cut from it.
    package mutating func append(
        _ bytes: UnsafeRawBufferPointer,
        _ line: (UnsafeRawBufferPointer, _ cut: Int) -> Void
    ) {
        guard let base = bytes.baseAddress else { return }
        var start = 0
        while start < bytes.count {
            let length = bytes.count - start
            let end = memchr(base + start, 10, length).map { UnsafeRawPointer($0) - base }
            let piece = UnsafeRawBufferPointer(start: base + start, count: (end ?? bytes.count) - start)
            if end != nil, partial.isEmpty, piece.count <= limit {
                line(Self.withoutReturn(piece), 0)
            } else {
                keep(piece)
                if end != nil { flush(line) }
            }
            start += piece.count + 1
        }
    }

    /// Calls `line` with the rest after the last line break, if there is any.
    package mutating func finish(_ line: (UnsafeRawBufferPointer, _ cut: Int) -> Void) {
        if !partial.isEmpty { flush(line) }
    }

    private mutating func keep(_ piece: UnsafeRawBufferPointer) {
        let room = min(piece.count, limit - partial.count)
        partial.append(contentsOf: piece.prefix(room))
        cut += piece.count - room
    }

    private mutating func flush(_ line: (UnsafeRawBufferPointer, _ cut: Int) -> Void) {
        partial.withUnsafeBytes { line(Self.withoutReturn($0), cut) }
        partial.removeAll(keepingCapacity: true)
        cut = 0
    }

    private static func withoutReturn(_ line: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        line.last == 13 ? UnsafeRawBufferPointer(rebasing: line.dropLast()) : line
    }
}
