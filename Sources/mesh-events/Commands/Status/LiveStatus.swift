import MeshEvents
import MeshEventsNATS
import MeshMonitoring

/// Shows the status from live events, until there is a stream.
struct LiveStatus: Sendable {
    /// How often the picture on a terminal is drawn again, so that ages are up to date.
    private static let tick: Duration = .seconds(1)
    /// The first and the longest pause between two checks for a stream.
    private static let delays = (first: Duration.milliseconds(250), last: Duration.seconds(2))

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
            group.addTask { try await Self.opened(start) }
            defer { group.cancelAll() }
            while let monitor = try await group.next() {
                if let monitor { return monitor }
            }
            throw CancellationError()
        }
    }

    private func show(_ live: LiveMesh, _ wishes: AsyncStream<Void>) async throws {
        let heading = "mesh-events status: no stream yet, so only live events count (Ctrl-C ends)"
        try printer.show(live.state, heading: heading, isFirst: true)
        for await _ in wishes {
            try await Task.sleep(for: StatusPrinter.pause)
            try printer.show(live.state, heading: heading, isFirst: false)
        }
    }

    /// Calls `start` until there is a stream, and returns its result.
    private static func opened(_ start: () async throws -> MeshMonitor) async throws -> MeshMonitor {
        var delay = delays.first
        while true {
            do {
                return try await start()
            } catch let error as MeshEventsError
                where [.streamNotFound, .persistenceUnavailable].contains(error.code) || error.isRetriable
            {
                try await Task.sleep(for: delay)
                delay = min(delay * 2, delays.last)
            }
        }
    }
}
