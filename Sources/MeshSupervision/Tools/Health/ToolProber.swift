import FileDescriptors
import MeshConcurrency
import NIOCore
import NIOHTTP1
import NIOPosix
import ProcessGuard

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Runs the probes of a tool. A probe that is cancelled ends soon, and leaves neither a connection nor a process behind.
struct ToolProber: Sendable {
    let tool: ToolSpecification
    let context: ToolContext

    /// The descriptors that a connection takes at most: for looking up the host, and its sockets.
    private static let connecting = 4

    /// Runs a probe once, within its time.
    func run(_ probe: ToolProbe) async -> ToolHealthMachine.ProbeResult {
        guard await context.probeSlots.take() else { return .failed("cancelled") }
        defer { context.probeSlots.giveBack() }
        return await withTaskGroup(of: ToolHealthMachine.ProbeResult?.self) { group in
            group.addTask { await ask(probe.target) }
            group.addTask {
                try? await context.clock.sleep(for: probe.timeout)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            if let first { return first }
            // The time is up: what was begun is ended first.
            _ = await group.next()
            return .failed("no answer within \(ToolHealth.text(probe.timeout))")
        }
    }

    /// Asks without a limit of time.
    private func ask(_ target: ToolProbe.Target) async -> ToolHealthMachine.ProbeResult {
        let needed = if case .command = target { DescriptorReserve.first } else { Self.connecting }
        guard FileDescriptors.areFree(needed) else {
            return .notAsked("its node has fewer than \(needed) file descriptors free, and could not ask")
        }
        let failure: String?
        switch target {
        case .tcp(let address): failure = await tcp(address)
        case .http(let url): failure = await http(url)
        case .command(let words): failure = await command(words)
        }
        return failure.map { .failed($0) } ?? .passed
    }

    private func tcp(_ address: String) async -> String? {
        guard let (host, port) = HTTPTarget.split(address) else { return "its address cannot be used" }
        return await ProbeConnection.failure(host, port) { _ in nil }
    }

    private func http(_ url: String) async -> String? {
        guard let target = try? HTTPTarget(url) else { return "its address cannot be used" }
        return await ProbeConnection.failure(target.host, target.port) { channel in
            try await HTTPAnswer.failure(of: target, on: channel)
        }
    }

    private func command(_ words: [String]) async -> String? {
        var program = tool
        program.command = words
        let last = Locked<[ProcessOutput.Stream: String]>([:])
        do {
            // As the tool itself: a probe must not have more rights.
            let settings = try tool.process.processSettings(tool.name)
            let variables = context.environment.variables(for: tool, as: settings.user)
            // The last line counts, also after a flood.
            var limits = OutputLimits()
            limits.passesExcess = true
            let command = SupervisedProcess.Command(
                executable: try ToolExecutable.find(program, variables: variables),
                arguments: Array(words.dropFirst()),
                environment: variables,
                directory: tool.directory,
                limits: limits,
                settings: settings
            )
            let process = try await SupervisedProcess.launch(command) { output in
                switch output {
                case .line(let stream, let line), .excess(let stream, let line):
                    if line.contains(where: { !$0.isWhitespace }) { last.withLock { $0[stream] = line } }
                case .dropped: break
                }
            }
            guard let end = try? await process.waitForEndUnlessCancelled() else {
                process.kill()
                _ = await process.waitForEnd()
                return "cancelled"
            }
            guard let failure = ToolEnding.error(end, hasLostGuard: process.hasLostGuard) else { return nil }
            // The order of lines from two pipes is not known.
            let line = last.withLock { $0[.stderr] ?? $0[.stdout] }
            return line.map { "\(failure): \($0)" } ?? failure
        } catch let error as ToolError {
            return error.message
        } catch {
            return "\(words.first ?? "") cannot be started: \(error)"
        }
    }
}

/// Bounds how many probes of all tools of a supervisor are under way, and with that their processes and descriptors. The
/// others wait their turn.
struct ProbeSlots: Sendable {
    private struct State: AwaitableState {
        var free: Int

        mutating func takeAnswer() -> Void? {
            guard free > 0 else { return nil }
            free -= 1
            return ()
        }
    }

    private let state: Awaitable<State>

    init(_ count: Int) { state = Awaitable(State(free: count)) }

    /// Waits for a place; `false` when the task is cancelled first.
    func take() async -> Bool { await state.next() != nil }

    func giveBack() { state.update { $0.free += 1 } }
}

/// A connection for one probe.
private enum ProbeConnection {
    /// One loop for the probes of all tools: they wait most of the time.
    private static let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    /// How long connecting may take when the probe's own limit is longer.
    private static let connectTimeout: TimeAmount = .seconds(60)

    /// All channels that a connection has tried, so that a cancellation closes them.
    private final class Tried: Sendable {
        private let state = Locked((channels: [any Channel](), isCancelled: false))

        func add(_ channel: any Channel) {
            let isCancelled = state.withLock { state in
                state.channels.append(channel)
                return state.isCancelled
            }
            if isCancelled { channel.close(promise: nil) }
        }

        func cancel() {
            let channels = state.withLock { state in
                state.isCancelled = true
                return state.channels
            }
            for channel in channels { channel.close(promise: nil) }
        }
    }

    /// Connects, asks, and closes.
    ///
    /// - Parameter ask: `nil` when all is well; it ends soon when the channel is closed.
    /// - Returns: what is wrong; `nil` when nothing is.
    static func failure(_ host: String, _ port: Int, _ ask: (any Channel) async throws -> String?) async -> String? {
        let tried = Tried()
        return await withTaskCancellationHandler {
            do {
                let channel = try await ClientBootstrap(group: loop)
                    .connectTimeout(connectTimeout)
                    .channelOption(.autoRead, value: false)
                    .channelInitializer { channel in
                        tried.add(channel)
                        return channel.eventLoop.makeSucceededVoidFuture()
                    }
                    .connect(host: host, port: port).get()
                let failure: String?
                do {
                    failure = try await ask(channel)
                } catch {
                    failure = text(error)
                }
                channel.close(promise: nil)
                try? await channel.closeFuture.get()
                return failure
            } catch {
                return text(error)
            }
        } onCancel: {
            tried.cancel()
        }
    }

    private static func text(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            return error.connectionErrors.first.map { text($0.error) } ?? "its host is not known"
        case let error as IOError where error.errnoCode == ECONNREFUSED: return "connection refused"
        case let error as IOError: return String(cString: strerror(error.errnoCode)).lowercased()
        case is HTTPParserError: return "it does not answer in HTTP"
        case is ChannelError: return "it closed the connection without an answer"
        default: return "\(error)"
        }
    }
}

/// Sends a GET, and reads as much of the answer as is needed.
private final class HTTPAnswer: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    /// How much of an answer's body is read for the reason, in bytes.
    private static let bodyBytes = 1_024
    /// How long the body of an answer with a bad status may take.
    private static let bodyTime: TimeAmount = .milliseconds(250)

    private let answer: EventLoopPromise<String?>
    private var status: HTTPResponseStatus?
    private var body: [UInt8] = []

    private init(_ answer: EventLoopPromise<String?>) { self.answer = answer }

    /// What is wrong with the answer; `nil` for a status from 200 to 399.
    static func failure(of target: HTTPTarget, on channel: any Channel) async throws -> String? {
        let answer = channel.eventLoop.makePromise(of: String?.self)
        channel.eventLoop.execute {
            do {
                try channel.pipeline.syncOperations.addHTTPClientHandlers()
                try channel.pipeline.syncOperations.addHandler(HTTPAnswer(answer))
                var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: target.path)
                head.headers = [
                    "Host": target.authority, "User-Agent": "mesh-events", "Accept": "*/*", "Connection": "close",
                ]
                channel.write(HTTPClientRequestPart.head(head), promise: nil)
                channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
                try channel.syncOptions?.setOption(.autoRead, value: true)
            } catch {
                answer.fail(error)
            }
        }
        return try await answer.futureResult.get()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            guard !(200..<400).contains(head.status.code) else {
                answer.succeed(nil)
                context.close(promise: nil)
                return
            }
            status = head.status
            let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.eventLoop.scheduleTask(in: Self.bodyTime) {
                let (handler, context) = loopBound.value
                handler.finish(context)
            }
        case .body(let part):
            body.append(contentsOf: part.readableBytesView.prefix(Self.bodyBytes + 1 - body.count))
            if body.count > Self.bodyBytes { finish(context) }
        case .end:
            finish(context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        answer.fail(error)
        context.close(promise: nil)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        if status == nil { answer.fail(ChannelError.eof) } else { finish(context) }
    }

    /// As much of the body as is read. `…` says that it was cut: then parts of secrets before it are looked for, too.
    private var text: String {
        guard body.count > Self.bodyBytes else { return String(decoding: body, as: UTF8.self) }
        return String(decoding: LineSplitter.withoutLastWord(body[..<Self.bodyBytes]), as: UTF8.self) + " …"
    }

    private func finish(_ context: ChannelHandlerContext) {
        guard let status else { return }
        self.status = nil
        // A page's markup says less than the status.
        let line = text.split(whereSeparator: \.isNewline).first { $0.contains { !$0.isWhitespace } }
        let said = line.map { $0.hasPrefix("<") ? "" : ": \($0)" } ?? ""
        answer.succeed("it answered \(status.code)\(said)")
        context.close(promise: nil)
    }
}
