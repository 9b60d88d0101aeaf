import Dispatch
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
/// All it says it says on one queue. A handler that takes its time holds back the process, through the pipe, as any
/// slow reader does.
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
    /// Safe to use from any thread, which Dispatch on Linux does not declare.
    private nonisolated(unsafe) let source: any DispatchSourceRead
    private let handler: @Sendable (ProcessOutput) -> Void
    private let state: Mutex<State>
    private let ended = OneShot<Void>()

    /// Begins to read.
    ///
    /// - Parameter descriptor: Is closed at the end; must not block.
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
        source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
        // The source keeps the reader alive until it is cancelled.
        source.setEventHandler { self.read(descriptor) }
        source.setCancelHandler {
            close(descriptor)
            self.finish()
        }
        source.activate()
    }

    private func read(_ descriptor: Int32) {
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
        if isOver { source.cancel() }
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

    /// Sees to it that held back lines are told of, should the process fall silent.
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

    /// Waits until all has been read; gives up after `timeout`, for a process that nobody found may hold the pipe.
    func waitForEnd(atMost timeout: Duration) async {
        if (try? await ended.wait(atMost: timeout)) == nil { source.cancel() }
    }
}
