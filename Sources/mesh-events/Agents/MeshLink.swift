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
    private var present: (transport: NATSTransport, report: Task<Void, Never>)?
    private var attempt: Task<NATSTransport, any Error>?

    /// - Parameters:
    ///   - options: the server and the login.
    ///   - verification: lets only events count that their node has signed; `nil` for all.
    init(_ options: ConnectionOptions, _ verification: SignatureVerification?) {
        self.options = options
        self.verification = verification
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

    /// The mesh as the stored events describe it.
    nonisolated func mesh() async throws -> MeshState {
        try await options.mesh(try await transport(), verification)
    }

    /// Runs `body` with a reader of the stored events.
    ///
    /// - Throws: `CommandFailure` when there is no stream, and what `body` throws.
    nonisolated func withHistory<Result: Sendable>(_ body: (EventHistory) async throws -> Result) async throws -> Result
    {
        let transport = try await transport()
        let history = EventHistory(store: try options.store(transport), verification: verification, logger: .disabled)
        return try await StreamAbsence(options, transport).explained { try await body(history) }
    }

    /// The store of the events, and the check of their signatures.
    nonisolated func store() async throws -> (JetStreamStore, SignatureVerification?) {
        (try options.store(try await transport()), verification)
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
