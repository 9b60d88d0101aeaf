import ArgumentParser
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import NATSClient

/// `mesh-events wait-for`.
struct WaitForCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait-for",
        abstract: "Wait for an event, and print it.",
        usage: """
            mesh-events wait-for TYPE [--node NAME] [--tool NAME] [--where CONDITION] [--timeout DURATION] [--since WHEN] \
            [--trust FILE] [--json]
            """,
        discussion: """
            Ends with 0 at the first matching event, and with 75 when none has come within --timeout, or when it is \
            interrupted. It waits for events from now on; with --since, events stored from that time on count too. \
            WHEN is how long ago (90s, 10m, 1d) or a time in RFC 3339.

            With a stream, no event is missed, even when the connection is lost for a while; without one, events from \
            while the connection is lost are missed.

            TYPE may be a pattern: * stands for one token, > at the end for all that follow. The prefix `events.` may \
            be left out. Quote it, because the shell interprets * and >.

            EXAMPLES
              mesh-events wait-for node.joined --node pi --timeout 5m
              mesh-events wait-for tool.started --tool whisper && ./transcribe.sh
              mesh-events wait-for tool.crashed --timeout 1h --json | jq -r .data.error
              mesh-events wait-for node.health --where 'resources.cpu < 0.2'
              mesh-events wait-for user.training.complete --since 1d
              mesh-events wait-for node.left --node pi --trust trust   # only signed by its node
            """
    )

    @Argument(help: ArgumentHelp("Which event, for example tool.started.", valueName: "type"))
    var type: String

    @Option(help: ArgumentHelp("Only events about this node.", valueName: "name"))
    var node: String?

    @Option(help: ArgumentHelp("Only events about this tool.", valueName: "name"))
    var tool: String?

    @OptionGroup var conditions: WhereOptions

    @Option(help: ArgumentHelp("How long to wait: 30s, 10m, 1h30m.", valueName: "duration"))
    var timeout: String = "60s"

    @Option(help: ArgumentHelp("Let events stored then or later count too.", valueName: "when"))
    var since: String?

    @OptionGroup var output: EventOutputOptions
    @OptionGroup(title: "Signatures") var trust: TrustOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let awaited = try awaited()
        let since = try since.map { try TimeBound.parse($0, option: "--since") }
        let limit = try DurationArgument.option("--timeout", timeout)
        let verification = try trust.verification()
        let stop = StopRequest()
        Signals.install(stop)
        let looks = OneTimeSignal()
        let hasHappened = try await stop.withTimeLimit(limit) {
            try await stop.race { try await wait(for: awaited, since, verification, looks, stop) }
        }
        if hasHappened == true { return }
        Diagnostics.clearInterrupt()
        let what = awaited.description
        switch stop.reason {
        case .timeUp where !looks.isSent:
            throw CommandFailure(
                .unavailable,
                "whether \(what) happened is not known: the server did not answer within \(timeout); give a longer --timeout"
            )
        case .timeUp: throw CommandFailure(.notHappened, "\(what) did not happen within \(timeout)")
        case nil: throw CommandFailure(.unavailable, "the connection was closed before \(what) happened; try again")
        default: throw CommandFailure(.notHappened, "interrupted before \(what) happened")
        }
    }

    /// The awaited event, checked together with the options.
    private func awaited() throws -> AwaitedEvent {
        let pattern = try PatternArgument.pattern(type)
        for (name, value) in [("--node", node), ("--tool", tool)] where value?.isEmpty == true {
            throw CommandFailure(.usage, "\(name) must not be empty")
        }
        if tool != nil, EventPattern("events.node.>").covers(pattern) {
            throw CommandFailure(.usage, "events about nodes name no tool; leave out --tool, or wait for 'tool.*'")
        }
        return try AwaitedEvent(pattern: pattern, node: node, tool: tool, where: conditions.filter())
    }

    /// Waits for the event and prints it.
    ///
    /// - Parameter looks: is sent when an event that happens from then on is noticed, and earlier ones have been read.
    /// - Returns: Whether it happened.
    private func wait(
        for awaited: AwaitedEvent,
        _ since: Timestamp?,
        _ verification: SignatureVerification?,
        _ looks: OneTimeSignal,
        _ stop: StopRequest
    ) async throws -> Bool {
        let transport = try await connection.connect(name: "mesh-events wait-for \(type)")
        var printer = EventPrinter(output.chosen, marks: trust.marks, stop: stop)
        let hasHappened: Bool
        if let replay = try await replay(transport, awaited, since, verification) {
            hasHappened = try await happens(from: replay, of: awaited, since, verification, transport, looks, &printer)
        } else {
            hasHappened = try await happensLive(awaited, verification, transport, looks, &printer)
        }
        await transport.close()
        return hasHappened
    }

    /// Reads the stream until the event happens, and prints it; when the stream is lost, goes on with the next one.
    private func happens(
        from replay: ReplaySubscription,
        of awaited: AwaitedEvent,
        _ since: Timestamp?,
        _ verification: SignatureVerification?,
        _ transport: NATSTransport,
        _ looks: OneTimeSignal,
        _ printer: inout EventPrinter
    ) async throws -> Bool {
        let missing = "nothing will be missing"
        let trouble = StreamTrouble()
        trouble.whenTold(TroubleReport(missing: missing).tell)
        await announce(transport, awaited)
        return try await ConnectionReport(connection: transport.connection, missing: missing).during {
            if since == nil { looks.send() }
            var next = replay
            while true {
                let current = next
                defer { TrustOptions.reportRejected(current.rejected) }
                current.whenTroubled { trouble.note($0, reader: 0) }
                do {
                    return try await happens(in: current, awaited, looks, &printer)
                } catch let error as MeshEventsError where error.code == .streamNotFound {
                    // The server came back without its data: all events of the next stream are new.
                    next = try await nextStream(transport, awaited, verification, trouble)
                }
            }
        }
    }

    /// Reads live events until the event happens, and prints it.
    private func happensLive(
        _ awaited: AwaitedEvent,
        _ verification: SignatureVerification?,
        _ transport: NATSTransport,
        _ looks: OneTimeSignal,
        _ printer: inout EventPrinter
    ) async throws -> Bool {
        let bus = EventBus.listening(on: transport, verification: verification)
        let subscription = try await bus.subscribe(to: awaited.pattern)
        defer {
            subscription.cancel()
            TrustOptions.reportRejected(subscription.rejected)
        }
        await announce(transport, awaited)
        let missing = "events from meanwhile are missed"
        return try await ConnectionReport(connection: transport.connection, missing: missing).during {
            looks.send()
            for try await event in subscription where awaited.selection.includes(event) {
                trust.note(event)
                try printer.print(event)
                return true
            }
            return false
        }
    }

    /// Reads until the event happens, and prints it.
    private func happens(
        in replay: ReplaySubscription,
        _ awaited: AwaitedEvent,
        _ looks: OneTimeSignal,
        _ printer: inout EventPrinter
    ) async throws -> Bool {
        defer { replay.cancel() }
        for try await element in replay {
            if case .caughtUp = element { looks.send() }
            guard let stored = element.event, awaited.selection.includes(stored.event) else { continue }
            trust.note(stored.event)
            try printer.print(stored)
            return true
        }
        return false
    }

    /// Opens a replay of the stream; `nil` when there is no stream, or it does not keep such events.
    private func replay(
        _ transport: NATSTransport,
        _ awaited: AwaitedEvent,
        _ since: Timestamp?,
        _ verification: SignatureVerification?
    ) async throws -> ReplaySubscription? {
        let replay = EventReplay(
            store: try connection.store(transport),
            verification: verification,
            logger: .disabled
        )
        if let since {
            return try await StreamAbsence(connection, transport)
                .explained { try await replay.open(matching: awaited.pattern, from: .time(since)) }
        }
        do throws(MeshEventsError) {
            return try await replay.open(matching: awaited.pattern, from: .new)
        } catch {
            switch error.code {
            case .streamNotFound, .streamMismatch, .persistenceUnavailable, .permissionDenied: return nil
            default: throw error
            }
        }
    }

    /// Waits until a stream is created, and opens a replay from its beginning.
    private func nextStream(
        _ transport: NATSTransport,
        _ awaited: AwaitedEvent,
        _ verification: SignatureVerification?,
        _ trouble: StreamTrouble
    ) async throws -> ReplaySubscription {
        let replay = EventReplay(
            store: try connection.store(transport),
            verification: verification,
            logger: .disabled
        )
        var delay = Duration.milliseconds(100)
        while true {
            let begun = ContinuousClock.now
            do {
                let opened = try await replay.open(matching: awaited.pattern, from: .beginning)
                trouble.answered()
                return opened
            } catch {
                guard error.code == .streamNotFound || error.isRetriable else { throw error }
                if error.code != .connectionFailed { trouble.failed(error, since: begun) }
                try await Task.sleep(for: delay)
                delay = min(delay * 2, .seconds(2))
            }
        }
    }

    private func announce(_ transport: NATSTransport, _ awaited: AwaitedEvent) async {
        let address = await transport.connection.currentAddress?.description ?? "a server"
        Diagnostics.say("waiting up to \(timeout) for \(awaited) on \(address) (Ctrl-C ends)")
    }
}

/// The event that is waited for.
private struct AwaitedEvent: Sendable, CustomStringConvertible {
    let pattern: EventPattern
    let selection: EventSelection
    /// Names the event in a sentence.
    let description: String

    /// - Throws: `CommandFailure`, usage, for too many conditions.
    init(pattern: EventPattern, node: String?, tool: String?, where filter: EventFilter) throws {
        self.pattern = pattern
        var conditions = filter.conditions
        if let tool { conditions.append(try EventFilter.Condition(path: ["tool"], .equals(.text(tool)))) }
        selection = EventSelection(node: node, filter: try EventFilter(conditions))
        description =
            String(pattern.subject.dropFirst("events.".count))
            + (tool.map { " of tool \($0.debugDescription)" } ?? "")
            + (node.map { " on node \($0.debugDescription)" } ?? "") + (filter.isEmpty ? "" : " where \(filter)")
    }
}
