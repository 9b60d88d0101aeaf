import MeshConcurrency
import MeshEvents
import MeshEventsNATS

/// Waits for an event: in the stream when there is one, so that none is missed, else live.
struct EventWait: Sendable {
    /// What is waited for.
    let awaited: AwaitedEvent
    /// Events stored then or later count, too; `nil` for those from now on.
    let since: Timestamp?
    /// Checks signatures; `nil` checks none.
    let verification: SignatureVerification?
    let connection: ConnectionOptions
    let transport: NATSTransport
    /// Is sent when an event that happens from then on is noticed, and earlier ones have been read.
    var looks = OneTimeSignal()

    /// What happened.
    enum Found: Sendable {
        /// An event of the stream.
        case stored(StoredEvent)
        /// An event that no stream keeps, as far as is known.
        case live(Event)

        var event: Event {
            switch self {
            case .stored(let stored): stored.event
            case .live(let event): event
            }
        }
    }

    /// From where the event is to come; open already, so that it is noticed when it happens.
    enum Source {
        case stream(ReplaySubscription)
        case live(EventSubscription)

        /// What becomes of events while the connection is lost.
        var missing: String {
            switch self {
            case .stream: "nothing will be missing"
            case .live: "events from meanwhile are missed"
            }
        }
    }

    /// Begins to look.
    ///
    /// - Throws: `CommandFailure` when earlier events count and there is no stream; as reading and subscribing.
    func open() async throws -> Source {
        if let replay = try await replay() { return .stream(replay) }
        let bus = EventBus.listening(on: transport, verification: verification)
        return .live(try await bus.subscribe(to: awaited.pattern))
    }

    /// Waits until it happens; when the stream is lost, goes on with the next one.
    ///
    /// - Returns: `nil` when the connection was closed before.
    func first(in source: Source) async throws -> Found? {
        switch source {
        case .stream(let replay): return try await first(from: replay)
        case .live(let subscription):
            defer {
                subscription.cancel()
                TrustOptions.reportRejected(subscription.rejected)
            }
            looks.send()
            for try await event in subscription where awaited.selection.includes(event) { return .live(event) }
            return nil
        }
    }

    private func first(from replay: ReplaySubscription) async throws -> Found? {
        let trouble = StreamTrouble()
        trouble.whenTold(TroubleReport(missing: "nothing will be missing").tell)
        if since == nil { looks.send() }
        var next = replay
        while true {
            let current = next
            defer { TrustOptions.reportRejected(current.rejected) }
            current.whenTroubled { trouble.note($0, reader: 0) }
            do {
                return try await first(of: current)
            } catch let error as MeshEventsError where error.code == .streamNotFound {
                // The server came back without its data: all events of the next stream are new.
                next = try await nextStream(trouble)
            }
        }
    }

    private func first(of replay: ReplaySubscription) async throws -> Found? {
        defer { replay.cancel() }
        for try await element in replay {
            if case .caughtUp = element { looks.send() }
            guard let stored = element.event, awaited.selection.includes(stored.event) else { continue }
            return .stored(stored)
        }
        return nil
    }

    private func reader() throws -> EventReplay {
        EventReplay(store: try connection.store(transport), verification: verification, logger: .disabled)
    }

    /// Opens a replay of the stream; `nil` when there is no stream, or it does not keep such events.
    private func replay() async throws -> ReplaySubscription? {
        let reader = try reader()
        if let since {
            return try await StreamAbsence(connection, transport)
                .explained { try await reader.open(matching: awaited.pattern, from: .time(since)) }
        }
        do throws(MeshEventsError) {
            return try await reader.open(matching: awaited.pattern, from: .new)
        } catch {
            switch error.code {
            case .streamNotFound, .streamMismatch, .persistenceUnavailable, .permissionDenied: return nil
            default: throw error
            }
        }
    }

    /// Waits until a stream is created, and opens a replay from its beginning.
    private func nextStream(_ trouble: StreamTrouble) async throws -> ReplaySubscription {
        let reader = try reader()
        var delay = Duration.milliseconds(100)
        while true {
            let begun = ContinuousClock.now
            do {
                let opened = try await reader.open(matching: awaited.pattern, from: .beginning)
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
}

/// The event that is waited for.
struct AwaitedEvent: Sendable, CustomStringConvertible {
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
