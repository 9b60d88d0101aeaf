import MeshEvents
import MeshEventsNATS
import MeshMonitoring
import NATSClient
import Synchronization

/// Shows the status repeatedly, until the task is cancelled.
struct StatusWatch: Sendable {
    let monitor: MeshMonitor
    let connection: NATSConnection
    let source: StatusSource
    let printer: StatusPrinter

    /// How often the picture on a terminal is drawn again, so that ages are up to date.
    private static let tick: Duration = .seconds(1)

    /// Shows the status until the connection is closed or the task is cancelled.
    ///
    /// - Throws: `MeshEventsError` when the monitor fails, `OutputClosed` when standard output has no reader any more.
    func run() async throws {
        let (wishes, wish) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let updates = monitor.updates()
        try await withThrowingTaskGroup(of: Void.self) { group in
            let notice = ConnectionNotice()
            let hasNewEvents = Flag()
            group.addTask {
                for try await update in updates where printer.isShown(update.change) {
                    if update.cause.map({ $0.event.type != .nodeHealth }) ?? true { hasNewEvents.set() }
                    wish.yield()
                }
                wish.finish()
            }
            group.addTask { await watchConnection(notice) { wish.yield() } }
            watchStream(notice) { wish.yield() }
            if printer.isInPlace {
                group.addTask {
                    while (try? await Task.sleep(for: Self.tick)) != nil { wish.yield() }
                }
            }
            group.addTask { try await show(wishes, notice, hasNewEvents) }
            // The first task that ends, ends all: the connection is closed, or standard output has no reader.
            try await group.next()
            group.cancelAll()
        }
    }

    private func show(_ wishes: AsyncStream<Void>, _ notice: ConnectionNotice, _ hasNewEvents: Flag) async throws {
        let address = await connection.currentAddress?.description ?? "a server"
        var content: StatusContent?
        func show() async throws {
            let next = try await self.content(notice, hasNewEvents, previous: content)
            let state = notice.text ?? "\(address) (Ctrl-C ends)"
            try printer.show(next, heading: "mesh-events status: \(state)", isFirst: content == nil)
            content = next
        }
        try await show()
        var pause = StatusPrinter.pause
        for await _ in wishes {
            try await Task.sleep(for: pause)
            // A large mesh is shown less often.
            pause = max(StatusPrinter.pause, try await ContinuousClock().measure { try await show() })
        }
    }

    /// What to show now. Its events are read again when there are new ones and the stream answers.
    private func content(
        _ notice: ConnectionNotice,
        _ hasNewEvents: Flag,
        previous: StatusContent?
    ) async throws -> StatusContent {
        let mesh = monitor.state
        guard notice.text == nil else { return try await source.withoutReading.content(of: mesh, previous: previous) }
        let isNew = hasNewEvents.take()
        do {
            return try await source.content(of: mesh, previous: isNew ? nil : previous)
        } catch is MeshEventsError {
            hasNewEvents.set()
            return try await source.withoutReading.content(of: mesh, previous: previous)
        }
    }

    /// Reports a lost connection: on a terminal in the picture, else in a line on standard error.
    private func watchConnection(_ notice: ConnectionNotice, _ changed: @Sendable () -> Void) async {
        guard printer.isInPlace else {
            await ConnectionReport(connection: connection, missing: "no events arrive meanwhile").run()
            return
        }
        for await status in connection.statusUpdates() {
            switch status {
            case .disconnected(let reason, _):
                notice.set(connection: "the connection is lost (\(reason.message)); connecting again")
            case .connected, .reconnected: notice.set(connection: nil)
            default: continue
            }
            changed()
        }
    }

    /// Reports a stream that does not answer, in the same way.
    private func watchStream(_ notice: ConnectionNotice, _ changed: @escaping @Sendable () -> Void) {
        let report = TroubleReport(missing: "nodes that run may be shown as unreachable")
        guard printer.isInPlace else { return monitor.whenTroubled(report.tell) }
        monitor.whenTroubled { error in
            notice.set(stream: error.map(report.text))
            changed()
        }
    }
}

/// A mark that one task sets and another one takes.
private final class Flag: Sendable {
    private let isSet = Atomic(false)

    func set() { isSet.store(true, ordering: .relaxed) }

    /// Whether it was set; it no longer is.
    func take() -> Bool { isSet.exchange(false, ordering: .relaxed) }
}

/// The present message about the connection or the stream; `nil` when all is well.
private final class ConnectionNotice: Sendable {
    private let value = Mutex<(connection: String?, stream: String?)>((nil, nil))

    var text: String? { value.withLock { $0.connection ?? $0.stream } }

    func set(connection text: String?) { value.withLock { $0.connection = text } }
    func set(stream text: String?) { value.withLock { $0.stream = text } }
}

/// Shows the status from live events, until there is a stream.
struct LiveStatus: Sendable {
    /// How often the picture on a terminal is drawn again, so that ages are up to date.
    private static let tick: Duration = .seconds(1)

    let printer: StatusPrinter
    let transport: NATSTransport
    let verification: SignatureVerification?

    /// Shows the mesh until `start` finds a stream.
    ///
    /// - Returns: What `start` returns.
    func run(until start: @escaping @Sendable () async throws -> MeshMonitor) async throws -> MeshMonitor {
        let bus = EventBus.listening(on: transport, verification: verification)
        let live = try await LiveMesh(bus)
        defer {
            live.close()
            TrustOptions.reportRejected(live.rejected)
        }
        let (wishes, wish) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        return try await withThrowingTaskGroup(of: MeshMonitor?.self) { group in
            group.addTask {
                try await live.run { change in
                    if printer.isShown(change) { wish.yield() }
                }
                return nil
            }
            if printer.isInPlace {
                group.addTask {
                    while (try? await Task.sleep(for: Self.tick)) != nil { wish.yield() }
                    return nil
                }
            }
            group.addTask {
                try await show(live, wishes)
                return nil
            }
            group.addTask { try await LiveMesh.waitForStream { try await Self.opened(start) } }
            defer { group.cancelAll() }
            while let monitor = try await group.next() {
                if let monitor { return monitor }
            }
            throw CancellationError()
        }
    }

    private func show(_ live: LiveMesh, _ wishes: AsyncStream<Void>) async throws {
        let heading = "mesh-events status: no stream yet, so only live events count (Ctrl-C ends)"
        let source = StatusSource(view: printer.view, events: nil)
        try printer.show(try await source.content(of: live.state), heading: heading, isFirst: true)
        for await _ in wishes {
            try await Task.sleep(for: StatusPrinter.pause)
            try printer.show(try await source.content(of: live.state), heading: heading, isFirst: false)
        }
    }

    /// The result of `start`; `nil` while there is no stream.
    private static func opened(_ start: () async throws -> MeshMonitor) async throws -> MeshMonitor? {
        do {
            return try await start()
        } catch let error as MeshEventsError
            where [.streamNotFound, .persistenceUnavailable].contains(error.code) || error.isRetriable
        {
            return nil
        }
    }
}
