import ArgumentParser
import Foundation
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import NATSClient
import ProcessGuard

/// `mesh-events on`.
struct OnCommand: SignalHandlingCommand {
    static let configuration = CommandConfiguration(
        commandName: "on",
        abstract: "Run a command for each event, without losing any.",
        usage: """
            mesh-events on PATTERN --durable NAME [--parallel N] [--max-deliveries N] [--from WHERE] \
            [--where CONDITION] [--timeout DURATION] [--trust FILE] -- COMMAND [ARGUMENT ...]
            """,
        discussion: """
            The server stores the position of the durable consumer NAME: after a restart the command continues there, \
            and handles all events stored meanwhile. Several processes with the same NAME share the events.

            COMMAND gets the event on standard input, one line of JSON as this program emits it, and these variables:
              MESH_EVENT_TYPE        e.g. tool.crashed
              MESH_EVENT_NODE        the node that emitted it
              MESH_EVENT_ABOUT       the node that it is about, perhaps another one
              MESH_EVENT_SEQUENCE    its sequence in the stream
              MESH_EVENT_DELIVERIES  how often it was delivered, 1 the first time
              MESH_EVENT_DEAD_LETTER the dead letter of which this is a retry, if it is one
              MESH_EVENT_SIGNATURE   signed, unsigned or forged; with --trust
            Exit code 0 means done. After any other end the event is redelivered, after 1 s, 4 s, 16 s … up to 5 \
            minutes. After --max-deliveries it is given up: it is stored as the event user.dead_letter.NAME with the \
            reason. An event may be delivered more than once, because the machine may fail between the command's end \
            and the acknowledgement; the command must handle that. With --trust an event that its node has not signed \
            is given up at once, and the command does not run.

            Ctrl-C, SIGTERM: running commands get --grace to end, then they are terminated; events that were not done \
            are redelivered. A command's child processes end with it.

            With --where COMMAND runs only for events whose data fit. Others are acknowledged at once, and do not become dead \
            letters. All processes with the same NAME need the same --where.

            --from counts only when NAME is new: beginning (all stored events), new (from now on), a sequence number, \
            how long ago (90s, 10m, 1d), or a time in RFC 3339.

            Where users have roles (`mesh-events auth`), an admin creates NAME beforehand: `mesh-events stream durable`.

            EXAMPLES
              mesh-events on tool.crashed --durable alerts -- ./alert.sh
              mesh-events on 'user.job.*' --durable jobs --parallel 4 -- python3 job.py
              mesh-events on 'tool.*' --durable log --from new -- sh -c 'cat >>tools'
              mesh-events on node.health --durable hot --where 'node = gpu-*' -- ./cool.sh
              mesh-events dead-letters list alerts         # what was given up, and why

            EXIT CODES: 0 after Ctrl-C or SIGTERM; 64 also when COMMAND does not exist; 69 also when NAME exists with \
            other settings (--update changes them) or is deleted while this runs; 76 when the stream is deleted and \
            created anew while this runs: the former stream's events that NAME had not handled are lost.
            """
    )

    @Argument(help: ArgumentHelp("Which events, for example 'tool.*'; the prefix `events.` may be left out."))
    var pattern: String

    @Option(help: ArgumentHelp("The durable consumer that stores the position in the stream.", valueName: "name"))
    var durable: String

    @Option(
        help: ArgumentHelp(
            "How many commands may run at once, at most 1024; with 1 they run in order.",
            valueName: "n"
        )
    )
    var parallel = 1

    @Option(
        name: .customLong("max-deliveries"),
        help: ArgumentHelp("After how many deliveries an event is given up.", valueName: "n")
    )
    var maximumDeliveries = 5

    @Option(
        name: .customLong("retry-delay"),
        help: ArgumentHelp(
            "The delay before the first redelivery; each further one is four times as long.",
            valueName: "duration"
        )
    )
    var retryDelay = "1s"

    @Option(help: ArgumentHelp("Where a new NAME begins. Default: beginning.", valueName: "where"))
    var from: String?

    @OptionGroup var conditions: WhereOptions

    @Option(help: ArgumentHelp("Terminate a command that runs longer; that is a failure.", valueName: "duration"))
    var timeout: String?

    @Option(help: ArgumentHelp("How long commands that run may go on after Ctrl-C or SIGTERM.", valueName: "duration"))
    var grace = "10s"

    @Flag(help: "When NAME exists with other settings, change them.")
    var update = false

    @OptionGroup var node: NodeOptions
    @OptionGroup(title: "Signatures") var trust: TrustOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    @Argument(
        parsing: .postTerminator,
        help: ArgumentHelp("The command and its arguments, after --.", valueName: "command")
    )
    var command: [String] = []

    func run() async throws {
        try DescriptorLimit.require(DescriptorLimit.command + DescriptorReserve.first, for: "mesh-events on")
        let pattern = try PatternArgument.pattern(pattern)
        let configuration = try configuration()
        let runner = try EventCommand(command, timeout: DurationArgument.option("--timeout", timeout))
        let grace = try DurationArgument.option("--grace", grace, mayBeZero: true)
        let node = try node.name()
        _ = try trust.verification()
        ProcessOne.warn()
        let stop = StopRequest()
        Signals.install(stop)
        try await stop.race {
            let transport = try await connection.connect(name: "mesh-events on \(durable)")
            let session = OnSession(
                durable: durable,
                pattern: pattern,
                configuration: configuration,
                command: runner,
                node: node,
                grace: grace,
                trust: trust,
                persistence: try connection.persistence()
            )
            return try await session.open(transport)
        }?.run(stop)
    }

    private func configuration() throws -> DurableSubscription.Configuration {
        guard (1...1_024).contains(parallel) else {
            throw CommandFailure(.usage, "--parallel is a number from 1 to 1024, not \(parallel)")
        }
        guard maximumDeliveries >= 1 else {
            throw CommandFailure(.usage, "--max-deliveries must be at least 1, not \(maximumDeliveries)")
        }
        let delay = try DurationArgument.option("--retry-delay", retryDelay, mayBeZero: true)
        let filter = try conditions.filter()
        return DurableSubscription.Configuration(
            start: try OnStart.parse(from),
            redelivery: RedeliveryDelays(first: delay, maximum: max(delay, .seconds(300))),
            maximumDeliveries: maximumDeliveries,
            concurrency: parallel,
            // More deliveries would only wait here, while another process could handle them. With a filter more are
            // asked for only while none passes.
            maximumOutstanding: filter.isEmpty ? parallel : max(parallel, 32),
            filter: filter,
            reconcile: update ? .update : .fail
        )
    }
}

/// Parses where a new durable begins (`--from`).
enum OnStart {
    /// The start; by default the beginning.
    ///
    /// - Throws: `CommandFailure`, usage.
    static func parse(_ text: String?, now: Timestamp = .now) throws -> StreamStart {
        switch text {
        case nil, "beginning": return .beginning
        case "new": return .new
        case let text?:
            if let sequence = UInt64(text) { return .sequence(sequence) }
            do {
                return .time(try TimeBound.parse(text, option: "--from", now: now))
            } catch {
                throw CommandFailure(
                    .usage,
                    "--from is beginning, new, a sequence number, how long ago (10m) or a time in RFC 3339, not "
                        + text.debugDescription
                )
            }
        }
    }
}

/// A run of `mesh-events on`, from the subscription to its end.
private struct OnSession: Sendable {
    let durable: String
    let pattern: EventPattern
    let configuration: DurableSubscription.Configuration
    let command: EventCommand
    let node: String
    let grace: Duration
    let trust: TrustOptions
    let persistence: PersistentEventBus.Configuration

    /// A subscription that runs commands.
    struct Running: Sendable {
        let transport: NATSTransport
        let subscription: DurableHandlerSubscription
        let grace: Duration

        /// Runs until a stop is requested or the subscription ends.
        ///
        /// - Throws: the error that ended the subscription.
        func run(_ stop: StopRequest) async throws {
            // The stream keeps the events for the durable meanwhile.
            let missing = "events stored meanwhile are handled afterwards"
            subscription.whenTroubled(TroubleReport(missing: missing).tell)
            try await ConnectionReport(connection: transport.connection, missing: missing).during {
                let reason = await withBackgroundTask {
                    do throws(MeshEventsError) {
                        try await subscription.waitUntilEnded()
                    } catch {
                        stop.stop(.failed(CommandFailure(describing: error)))
                    }
                } _: {
                    await stop.wait()
                }
                Diagnostics.clearInterrupt()
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
    }

    /// Opens the stream and subscribes.
    func open(_ transport: NATSTransport) async throws -> Running {
        let bus = try await PersistentEventBus.open(
            transport: transport,
            node: node,
            configuration: persistence,
            busConfiguration: EventBus.Configuration(verification: try trust.verification()),
            logger: .disabled
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
            "MESH_EVENT_ABOUT": delivery.event.affectedNode,
            "MESH_EVENT_SEQUENCE": "\(delivery.sequence)",
            "MESH_EVENT_DELIVERIES": "\(delivery.deliveries)",
        ]
        if let letter = delivery.deadLetter { environment["MESH_EVENT_DEAD_LETTER"] = "\(letter)" }
        if trust.marks { environment["MESH_EVENT_SIGNATURE"] = SignatureMark.word(delivery.event.signature) }
        let outcome = await command.run(input: input, environment: environment)
        // A terminated command may not have done everything, even when its exit code is 0.
        try Task.checkCancellation()
        guard let problem = outcome.problem else { return }
        let what = "event \(delivery.sequence) (\(delivery.event.type)): \(command.name) \(problem)"
        guard delivery.deliveries < configuration.maximumDeliveries else {
            return await giveUp(delivery, what, reason: "\(command.name) \(problem)")
        }
        let delay = configuration.redelivery.delay(afterDelivery: delivery.deliveries)
        let count = "\(delivery.deliveries) of \(configuration.maximumDeliveries)"
        Diagnostics.say("\(what) (delivery \(count)); again in \(delay)")
        throw EventCommand.Failed(description: "\(command.name) \(problem)")
    }

    /// Gives an event up, and reports whether its dead letter is stored.
    private func giveUp(_ delivery: DurableDelivery, _ what: String, reason: String) async {
        do throws(MeshEventsError) {
            try await delivery.nack(reason: reason)
            let isDeadLetter = delivery.event.type.rawValue.hasPrefix("user.dead_letter.")
            let outcome =
                isDeadLetter ? "the dead letter stays in the stream" : "it is the event user.dead_letter.\(durable) now"
            Diagnostics.say("\(what), for the last time; \(outcome)")
        } catch {
            Diagnostics.say("\(what), for the last time, but \(error.message)")
        }
    }
}
