import Foundation
public import Logging
import MeshConcurrency
public import MeshEvents
import MeshEventsNATS
import NATSClient
public import ServiceLifecycle
import UnixSignals

/// A tool's connection to the mesh: it emits the tool's events, subscribes to events, holds the tool's configuration
/// and stops gracefully.
///
/// ```swift
/// let tool = try await MeshTool.fromEnvironment()
/// let rate = tool.configuration["rate"]?.double ?? 0.1
/// try await tool.run { tool in
///     for epoch in 1... {
///         let loss = try await train(epoch, rate)
///         try tool.emit("training.epoch", ["epoch": JSONValue(epoch), "loss": JSONValue(loss)])
///     }
/// }
/// ```
///
/// It needs only the environment variables that the node gives to its tools, see ``Environment``. In an application
/// that is made of services, use it as one of them: ``run()``.
public final class MeshTool: Service {
    private struct State {
        var store: Task<PersistentEventBus, any Error>?
        var isStopped = false
    }

    /// The tool's name.
    public let name: String
    /// The tool's configuration: an object, empty when there is none.
    public let configuration: EventData
    /// The event bus that this tool uses.
    public let bus: EventBus

    private let busConfiguration: EventBus.Configuration
    private let streamName: String
    private let transport: NATSTransport
    private let logger: Logger
    private let state = Locked(State())
    let notifier: NodeNotifier
    /// The longest time between two calls of ``alive()`` that the node allows; `nil` when it expects none.
    public let watchdog: Duration?

    private init(
        _ environment: Environment,
        transport: NATSTransport,
        verification: SignatureVerification?,
        logger: Logger
    ) {
        name = environment.tool
        configuration = environment.configuration
        streamName = environment.place.streamName
        self.transport = transport
        self.logger = logger
        notifier = NodeNotifier(socket: environment.notifySocket, logger: logger)
        watchdog = environment.watchdog
        busConfiguration = EventBus.Configuration(signer: environment.signingKey, verification: verification)
        bus = EventBus(transport: transport, node: environment.node, configuration: busConfiguration, logger: logger)
    }

    /// Connects to the mesh that the environment names.
    ///
    /// - Parameters:
    ///   - variables: the environment; `nil` for this process's.
    ///   - verification: checks the signatures of the events the tool receives; `nil` checks none.
    ///   - logger: logs malformed events, failing handlers and changes of the connection.
    /// - Throws: `invalidArgument` naming the variable that is missing or wrong; `connectionFailed`,
    ///   `authenticationFailed`.
    public static func fromEnvironment(
        _ variables: [String: String]? = nil,
        verification: SignatureVerification? = nil,
        logger: Logger = Logger(label: "mesh-events.tool")
    ) async throws(MeshEventsError) -> MeshTool {
        let environment = try Environment(variables ?? ProcessInfo.processInfo.environment)
        return try await connect(environment, verification: verification, logger: logger)
    }

    /// Connects to the mesh that an environment describes; see ``fromEnvironment(_:verification:logger:)``.
    ///
    /// - Throws: `connectionFailed`, `authenticationFailed`.
    public static func connect(
        _ environment: Environment,
        verification: SignatureVerification? = nil,
        logger: Logger = Logger(label: "mesh-events.tool")
    ) async throws(MeshEventsError) -> MeshTool {
        var configuration = NATSConnection.Configuration(
            servers: environment.servers,
            authentication: environment.authentication,
            tls: environment.tls,
            name: "\(environment.tool) on \(environment.node)"
        )
        configuration.webSocketHeaders = environment.webSocketHeaders
        if let file = environment.webSocketHeaderFile {
            configuration.webSocketHeaderProvider = { try WebSocketHeaderFile.fields(file, in: [:]) }
        }
        let transport = try await NATSTransport.connect(environment.place.applied(to: configuration), logger: logger)
        return MeshTool(environment, transport: transport, verification: verification, logger: logger)
    }

    /// The name of the node the tool runs on.
    public var node: String { bus.node }

    /// Decodes the configuration as a type of your own.
    ///
    /// - Throws: `invalidData` when it does not fit.
    public func configuration<Value: Decodable>(
        as type: Value.Type = Value.self
    ) throws(MeshEventsError) -> Value {
        try configuration.decode(as: type)
    }

    // MARK: Stopping

    /// Runs the tool as one service of an application. Waits for a graceful shutdown or the task's cancellation, then
    /// flushes what was emitted and closes. Put it before the services that use it, so that it stops after them.
    ///
    /// - Throws: as ``stop(timeout:)``.
    public func run() async throws {
        try? await gracefulShutdown()
        try await uncancelled { () async throws(MeshEventsError) in try await self.stop() }
    }

    /// Runs a tool that is not made of services. SIGTERM and SIGINT cancel `body`'s task. After `body` has returned,
    /// this waits until the server has what was emitted. Call it once.
    ///
    /// - Throws: what `body` throws, except a `CancellationError` or a `MeshEventsError` of code `closed` after it was
    ///   asked to stop; as ``stop(timeout:)``.
    public func run(_ body: @escaping @Sendable (MeshTool) async throws -> Void) async throws {
        let work = ToolWork { try await body(self) }
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(
                        service: work,
                        successTerminationBehavior: .gracefullyShutdownGroup,
                        failureTerminationBehavior: .cancelGroup
                    )
                ],
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: logger
            )
        )
        let outcome: Result<Void, any Error>
        do {
            try await group.run()
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        let stopped: Result<Void, MeshEventsError>
        do throws(MeshEventsError) {
            try await uncancelled { () async throws(MeshEventsError) in try await self.stop() }
            stopped = .success(())
        } catch {
            stopped = .failure(error)
        }
        try outcome.get()
        try stopped.get()
    }

    /// Waits until the server has everything that was emitted, then ends subscriptions and closes the connection. Later
    /// calls throw `closed`. Harmless when repeated.
    ///
    /// - Throws: `timeout`, `connectionFailed` or `permissionDenied` when something emitted may not have arrived.
    public func stop(timeout: Duration = .seconds(5)) async throws(MeshEventsError) {
        let (isFirst, store) = state.withLock { state in
            defer { state.isStopped = true }
            return (!state.isStopped, state.store)
        }
        guard isFirst else { return }
        notifier.stopping()
        var failure: MeshEventsError?
        do throws(MeshEventsError) {
            try await bus.flush(timeout: timeout)
        } catch {
            failure = error
        }
        if let persistent = try? await store?.value { await persistent.close() }
        await bus.close()
        await transport.close()
        if let failure {
            throw MeshEventsError(
                failure.code,
                "some of the events that tool \(name) emitted last may not have arrived: \(failure.message)",
                underlying: failure
            )
        }
    }

    /// The tool's bus with the stream: its `emit` returns when the event is stored, and it reads stored events.
    ///
    /// ```swift
    /// try await tool.persistent().emit("user.training.complete", ["epochs": 12])
    /// ```
    ///
    /// Its events need their whole type, `user.` included. The first call opens the stream, creating it when there is
    /// none; after a failure the next call tries again. ``stop(timeout:)`` closes it.
    ///
    /// - Throws: `closed` after ``stop(timeout:)``; otherwise as ``/MeshEvents/PersistentEventBus``'s `open`.
    public func persistent() async throws(MeshEventsError) -> PersistentEventBus {
        let opening = try state.withLock { state throws(MeshEventsError) in
            guard !state.isStopped else { throw MeshEventsError(.closed, "tool \(name) has been stopped") }
            if let store = state.store { return store }
            // Not a child task: all callers share it. Stopping waits for it.
            let store = Task { [transport, bus, busConfiguration, streamName, logger] in
                try await PersistentEventBus.open(
                    transport: transport,
                    node: bus.node,
                    configuration: PersistentEventBus.Configuration(streamName: streamName),
                    busConfiguration: busConfiguration,
                    logger: logger
                )
            }
            state.store = store
            return store
        }
        do {
            return try await opening.value
        } catch {
            state.withLock { state in
                if state.store == opening { state.store = nil }
            }
            throw error as? MeshEventsError
                ?? MeshEventsError(.connectionFailed, "the stream cannot be opened", underlying: error)
        }
    }
}

/// A tool's body as a service: a graceful shutdown cancels it.
struct ToolWork: Service {
    let body: @Sendable () async throws -> Void

    func run() async throws {
        let stop = OneTimeSignal()
        do {
            try await withTaskCancellationOrGracefulShutdownHandler {
                try await cancelWhenGracefulShutdown { try await body() }
            } onCancelOrGracefulShutdown: {
                stop.send()
            }
        } catch {
            guard stop.isSent, error is CancellationError || (error as? MeshEventsError)?.code == .closed else {
                throw error
            }
        }
    }
}
