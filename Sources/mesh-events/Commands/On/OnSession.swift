import MeshEvents
import MeshEventsNATS
import NATSClient

/// A run of `mesh-events on`, from the subscription to its end.
struct OnSession: Sendable {
    let durable: String
    let pattern: EventPattern
    let configuration: DurableSubscription.Configuration
    let command: EventCommand
    let node: String
    let grace: Duration
    let trust: TrustOptions
    let persistence: PersistenceConfiguration

    /// A subscription that runs commands.
    struct Running: Sendable {
        let transport: NATSTransport
        let subscription: DurableHandlerSubscription
        let grace: Duration

        /// Runs until a stop is requested or the subscription ends.
        ///
        /// - Throws: the error that ended the subscription.
        func run(_ stop: StopRequest) async throws {
            let report = Task {
                // The stream keeps the events for the durable meanwhile.
                let missing = "events stored meanwhile are handled afterwards"
                await ConnectionReport(connection: transport.connection, missing: missing).run()
            }
            defer { report.cancel() }
            let ending = Task {
                do throws(MeshEventsError) {
                    try await subscription.waitUntilEnded()
                } catch {
                    stop.stop(.failed(CommandFailure(describing: error)))
                }
            }
            let reason = await stop.wait()
            Diagnostics.clearInterrupt()
            ending.cancel()
            do throws(MeshEventsError) {
                try await subscription.drain(timeout: grace)
            } catch {
                let outcome =
                    error.code == .timeout
                    ? "commands that still ran were terminated; their events are redelivered"
                    : "some answers may not have reached the server, and their events may be redelivered: \(error.message)"
                Diagnostics.say(outcome)
            }
            await transport.close()
            if case .failed(let failure) = reason { throw failure }
        }
    }

    /// Opens the stream and subscribes.
    func open(_ transport: NATSTransport) async throws -> Running {
        let bus = try await PersistentEventBus.open(
            transport: transport,
            node: node,
            configuration: persistence,
            busConfiguration: EventBus.Configuration(verification: try trust.verification()),
            logger: Silence.logger
        )
        let subscription = try await bus.subscribe(durable: durable, to: pattern, configuration: configuration) {
            try await handle($0)
        }
        let address = await transport.connection.currentAddress?.description ?? "a server"
        Diagnostics.say("running \(command.name) for \(pattern) as \(durable) on \(address) (Ctrl-C ends)")
        return Running(transport: transport, subscription: subscription, grace: grace)
    }

    private func handle(_ delivery: DurableDelivery) async throws {
        let input = try EventJSON().line(delivery.event) + "\n"
        trust.note(delivery.event)
        var environment = [
            "MESH_EVENT_TYPE": delivery.event.type.rawValue,
            "MESH_EVENT_NODE": delivery.event.node,
            "MESH_EVENT_SEQUENCE": "\(delivery.sequence)",
            "MESH_EVENT_DELIVERIES": "\(delivery.deliveries)",
        ]
        if trust.marks { environment["MESH_EVENT_SIGNATURE"] = SignatureMark.word(delivery.event.signature) }
        let outcome = await command.run(input: input, environment: environment)
        // A terminated command may not have done everything, even when its exit code is 0.
        try Task.checkCancellation()
        guard let problem = outcome.problem else { return }
        let what = "event \(delivery.sequence) (\(delivery.event.type)): \(command.name) \(problem)"
        if delivery.deliveries >= configuration.maximumDeliveries {
            Diagnostics.say("\(what), for the last time; it becomes the event user.dead_letter.\(durable)")
        } else {
            let delay = configuration.redelivery.delay(afterDelivery: delivery.deliveries)
            let count = "\(delivery.deliveries) of \(configuration.maximumDeliveries)"
            Diagnostics.say("\(what) (delivery \(count)); again in \(delay)")
        }
        throw EventCommand.Failed(description: "\(command.name) \(problem)")
    }
}
