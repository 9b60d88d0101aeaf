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
    private let handler: @Sendable (ProcessOutput) -> Void
    private let state: Mutex<State>
    private let isGivenUp = Atomic(false)
    private let ended = OneShot<Void>()

    /// Begins to read.
    ///
    /// - Parameter descriptor: The pipe to read; must be non-blocking. It is closed at the end.
    init(
        _ stream: ProcessOutput.Stream,
        descriptor: Int32,
        limits: OutputLimits,
        queue: DispatchQueue,
        handler: @escaping @Sendable (ProcessOutput) -> Void
    ) {
        self.stream = stream
        self.queue = queue
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
        for output in said { handler(output) }
        return !isOver
    }

    private func admit(
        _ line: UnsafeRawBufferPointer,
        _ cut: Int,
        _ allowance: inout OutputAllowance
    ) -> ProcessOutput? {
        guard allowance.admits(line.count) else { return nil }
        let text = String(decoding: line, as: UTF8.self)
        return .line(stream, cut > 0 ? "\(text) … \(cut) bytes cut" : text)
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
            if let dropped { self.handler(.dropped(dropped)) }
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
        for output in said { handler(output) }
        ended.fulfil(())
    }

    /// Waits until all output has been read. It gives up after `timeout`, because an escaped descendant may hold the
    /// pipe.
    func waitForEnd(atMost timeout: Duration) async {
        if (try? await ended.wait(atMost: timeout)) == nil { isGivenUp.store(true, ordering: .relaxed) }
    }
}
