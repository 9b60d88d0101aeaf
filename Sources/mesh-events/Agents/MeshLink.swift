import MeshAlerts
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import MeshMonitoring
import NATSClient

/// The connection of a server for agents to the mesh: made when a call needs it, and made anew when it has ended for good. A
/// connection that was lost comes back by itself.
actor MeshLink {
    /// How long a call waits for a connection that was lost to come back.
    private static let patience: Duration = .seconds(3)

    private let options: ConnectionOptions
    private let verification: SignatureVerification?
    /// How long a server may send nothing while a call reads the stream.
    let silence: Duration
    private var present: (transport: NATSTransport, report: Task<Void, Never>)?
    private var attempt: Task<NATSTransport, any Error>?

    /// - Parameters:
    ///   - options: the server and the login.
    ///   - verification: lets only events count that their node has signed; `nil` for all.
    ///   - silence: after how long without a byte of the server a call that reads the stream is given up.
    init(
        _ options: ConnectionOptions,
        _ verification: SignatureVerification?,
        silence: Duration = .seconds(8)
    ) {
        self.options = options
        self.verification = verification
        self.silence = silence
    }

    /// The connection; calls at the same time share it.
    ///
    /// - Throws: `AgentFailure` when there is none.
    func transport() async throws -> NATSTransport {
        if let present {
            switch await present.transport.connection.presence(within: Self.patience) {
            case .connected: return present.transport
            case .away: throw AgentFailure.unreachable(nil)
            case .closed: forget(present.transport)
            }
        }
        let attempt = attempt ?? Task { [options] in try await options.connect(name: "mesh-events mcp") }
        self.attempt = attempt
        do {
            let transport = try await attempt.value
            if self.attempt == attempt {
                self.attempt = nil
                let report = ConnectionReport(connection: transport.connection, missing: "calls fail meanwhile")
                present = (transport, Task { await report.run() })
            }
            return transport
        } catch {
            if self.attempt == attempt { self.attempt = nil }
            throw AgentFailure(
                .unreachable,
                "There is no connection to the server of the mesh; `message` says why. The next call tries again.",
                detail: AgentFailure(describing: error).detail
            )
        }
    }

    private func forget(_ transport: NATSTransport) {
        guard let present, present.transport === transport else { return }
        present.report.cancel()
        self.present = nil
    }

    /// Closes the connection, if there is one.
    func close() async {
        attempt?.cancel()
        guard let present else { return }
        self.present = nil
        await present.transport.close()
        present.report.cancel()
    }

    // What reads runs beside the actor, so that one call's work holds up no other call.

    /// Reads from the stream, and gives up when the server sends nothing for so long: a link that is slow is waited for, and a
    /// stream that does not answer is not.
    ///
    /// - Throws: `AgentFailure` when it was given up or there is no connection, and what `body` throws.
    private nonisolated func reading<Result: Sendable>(
        _ body: @escaping @Sendable (NATSTransport) async throws -> Result
    ) async throws -> Result {
        let transport = try await transport()
        let (stop, silence) = (StopRequest(), silence)
        let result = try await withBackgroundTask {
            if await transport.connection.waitForSilence(of: silence) { stop.stop(.timeUp) }
        } _: {
            try await stop.race { try await body(transport) }
        }
        try Task.checkCancellation()
        guard let result else { throw AgentFailure.silent(for: silence) }
        return result
    }

    /// The mesh as the stored events describe it.
    nonisolated func mesh() async throws -> MeshState {
        try await reading { [options, verification] in try await options.mesh($0, verification) }
    }

    /// Runs `body` with a reader of the stored events.
    ///
    /// - Throws: `CommandFailure` when there is no stream, and what `body` throws.
    nonisolated func withHistory<Result: Sendable>(
        _ body: @escaping @Sendable (EventHistory) async throws -> Result
    ) async throws -> Result {
        try await reading { [options, verification] transport in
            let store = try options.store(transport)
            let history = EventHistory(store: store, verification: verification, logger: .disabled)
            return try await StreamAbsence(options, transport).explained { try await body(history) }
        }
    }

    /// The alerts that fire.
    nonisolated func alerts() async throws -> AlertOverview {
        try await reading { [options, verification] transport in
            try await AlertReading.overview(try options.store(transport), verification)
        }
    }

    /// A wait for an event.
    nonisolated func wait(for awaited: AwaitedEvent, since: Timestamp?) async throws -> EventWait {
        EventWait(
            awaited: awaited,
            since: since,
            verification: verification,
            connection: options,
            transport: try await transport()
        )
    }
}

extension NATSConnection {
    /// Waits until the server has sent nothing for so long.
    ///
    /// - Returns: `false` when the task was cancelled before.
    fileprivate func waitForSilence(of limit: Duration) async -> Bool {
        var (received, since) = (receivedBytes, ContinuousClock.now)
        while ContinuousClock.now - since < limit {
            guard (try? await Task.sleep(for: min(limit / 8, .seconds(1)))) != nil else { return false }
            if receivedBytes != received { (received, since) = (receivedBytes, .now) }
        }
        return true
    }

    /// Whether a connection is up.
    fileprivate enum Presence: Sendable {
        case connected
        /// It was lost, and is being restored.
        case away
        /// It has ended for good.
        case closed
    }

    /// Whether it is up, or comes up within a time.
    fileprivate func presence(within patience: Duration) async -> Presence {
        let updates = statusUpdates()
        let presence = await within(patience) { () -> Presence in
            for await status in updates {
                switch status {
                case .connected, .reconnected: return .connected
                case .closed: return .closed
                default: continue
                }
            }
            return Task.isCancelled ? .away : .closed
        }
        return presence ?? .away
    }
}
