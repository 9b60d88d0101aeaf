import ArgumentParser
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import Synchronization

/// `mesh-events emit`.
struct EmitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "emit",
        abstract: "Emit one event, or all events of a file.",
        usage: """
            mesh-events emit TYPE [key=value ...] [--data JSON] [--node NAME] [--ack] [--sign-key FILE] \
            [--cloudevents]
            mesh-events emit --from FILE|- [--format FORMAT] [--node NAME] [--sign-key FILE] [--cloudevents]
            """,
        discussion: """
            The exit code is 0 only when the event was delivered: the server has it; with --ack, the stream has stored \
            it. Without --ack, a stream that exists stores the event too, but the command does not check that.

            TYPE is like tool.started, node.health or user.training.done; the prefix `events.` is dropped.
            key=value makes the event's data. A value that parses as JSON is JSON (3, true, null, {"a":1}, "3"), any \
            other is a string. Quote values with braces or quotes for the shell.

            EXAMPLES
              mesh-events emit tool.installed tool=whisper version=v1.4.0
              mesh-events emit tool.crashed tool=whisper error='out of memory' --ack
              mesh-events emit node.health status=online 'resources={"cpu":0.4}'
              mesh-events emit user.training.done --data '{"model":"base"}'
              mesh-events emit --from events.ndjson --node importer
              mesh-events list --json --node old | mesh-events emit --from -

            FILES have one event per line, as
              {"type":"tool.started","node":"pi","data":{"tool":"whisper"}}
            node and data may be missing; the time of emitting replaces a timestamp. Events are stored in the order of \
            the lines, each acknowledged. At a bad line emitting ends with exit code 65 and the line's number; \
            everything before it is stored. When the stream is deleted and created anew meanwhile, it ends with exit \
            code 76. With --format cloudevents a line is a CloudEvent 1.0 in JSON, whose data is an object or null. A \
            source /mesh/nodes/NAME names the node; any other source is the node's name itself.

            With --cloudevents each message also has the attributes of a CloudEvent as header fields (ce-id, \
            ce-source, ...: CloudEvents' NATS protocol binding, binary mode). The message itself stays the same, so \
            that every node reads it as before.
            """
    )

    @Argument(help: ArgumentHelp("The event's type.", valueName: "type"))
    var type: String?

    @Argument(help: ArgumentHelp("The event's data, member by member.", valueName: "key=value"))
    var fields: [String] = []

    @Option(help: ArgumentHelp("The event's data, a JSON object; key=value arguments are added.", valueName: "json"))
    var data: String?

    @Option(help: ArgumentHelp("Emit the events in a file of NDJSON; - is standard input.", valueName: "file|-"))
    var from: String?

    @Option(
        help: ArgumentHelp("The format of --from's lines: json or cloudevents. Default: json.", valueName: "format")
    )
    var format: LineFormat?

    @Flag(help: "Wait until the event is stored, and print where. Creates the stream when there is none.")
    var ack = false

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var signing: SigningOptions
    @OptionGroup var cloudEvents: CloudEventOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        if let from {
            guard type == nil, fields.isEmpty, data == nil else {
                throw CommandFailure(
                    .usage,
                    "--from takes types and data from the file; leave TYPE, key=value and --data out"
                )
            }
            guard !output.json else {
                throw CommandFailure(
                    .usage,
                    "--json shows a single event; `mesh-events list --json` shows what --from stored"
                )
            }
            try await emitFile(from)
        } else {
            guard format == nil else { throw CommandFailure(.usage, "--format is for the lines of --from; give both") }
            guard let type else { throw CommandFailure(.usage, "give the event's TYPE, or a file with --from") }
            try await emit(event(type))
        }
    }

    private func event(_ type: String) throws -> Event {
        let type = try PatternArgument.type(type)
        guard let data else { return Event(type, node: try node.name(), data: try FieldArguments.data(fields)) }
        let base: EventData
        do throws(MeshEventsError) {
            base = try EventData(json: data)
            try base.checkNumbers()
        } catch {
            throw CommandFailure(.badData, "--data: \(error.message)")
        }
        return Event(
            type,
            node: try node.name(),
            data: fields.isEmpty ? base : try FieldArguments.data(fields, base: base)
        )
    }

    private func emit(_ event: Event) async throws {
        let configuration = try signing.busConfiguration(cloudEvents)
        let transport = try await connection.connect(name: "mesh-events emit")
        if ack {
            try await AcknowledgedEmission(connection, transport, configuration).emit(event, json: output.json) {
                "stored in \(SafeText.name($0.stream)) at sequence \($0.sequence)"
            }
        } else {
            let recorder = RecordingTransport(transport)
            let bus = EventBus(
                transport: recorder,
                node: event.node,
                configuration: configuration,
                logger: .disabled
            )
            try bus.emit(event)
            try await bus.flush()
            if output.json { try LineOutput.standard().write(Terminal.output.safe(json: recorder.lastPayload)) }
        }
        await transport.close()
    }

    private func emitFile(_ path: String) async throws {
        let name = try node.name()
        let configuration = try signing.busConfiguration(cloudEvents)
        let reader = try LineReader(path: path)
        defer { reader.close() }
        let transport = try await connection.connect(name: "mesh-events emit --from")
        let store = try connection.store(transport)
        defer { AcknowledgedEmission.sayOthers(store) }
        let bus = try await PersistentEventBus.open(
            transport: transport,
            store: store,
            node: name,
            configuration: connection.persistence(),
            busConfiguration: configuration,
            logger: .disabled
        )
        // `nil` when the user has no permission to read the stream's state.
        let created = try? await store.state().created
        try await FileEmission(bus: bus, format: format ?? .json).run(reader)
        if let created { try await checkIsSame(store, created) }
        await transport.close()
    }

    /// Throws when the stream is another one than at the beginning, or gone. All that was emitted is acknowledged: a stream
    /// that does not answer now is no failure.
    private func checkIsSame(_ store: JetStreamStore, _ created: Timestamp) async throws {
        let isGone: Bool
        do throws(MeshEventsError) {
            guard let found = try await store.state().created, found != created else { return }
            isGone = false
        } catch {
            guard error.code == .streamNotFound else { return }
            isGone = true
        }
        throw CommandFailure(
            .streamReplaced,
            isGone
                ? "the stream was deleted meanwhile, with the events stored before"
                : "the stream was deleted and created anew meanwhile, and lacks the events stored before"
        )
    }
}

/// Emits the events of a file, in order, many at a time, each acknowledged.
private struct FileEmission {
    private let bus: PersistentEventBus
    private let format: LineFormat
    private let progress: ProgressLine
    private let counter = Counter()

    init(bus: PersistentEventBus, format: LineFormat = .json, progress: ProgressLine = ProgressLine()) {
        self.bus = bus
        self.format = format
        self.progress = progress
    }

    /// Emits every line; returns when all are stored.
    ///
    /// - Throws: `CommandFailure` with the number of the first line that was not stored; those before it are.
    func run(_ reader: LineReader) async throws {
        let numbers = LineNumbers()
        let (counter, progress) = (counter, progress)
        defer { progress.finish(stored: counter.count) }
        do {
            // The line is a task of its own, so that a halted terminal does not delay the work.
            try await withBackgroundTask {
                while (try? await Task.sleep(for: .milliseconds(100))) != nil { progress.show(stored: counter.count) }
            } _: {
                let lines = EventLines(reader: reader, numbers: numbers, format: format)
                _ = try await bus.emit(contentsOf: lines) { _, _ in counter.increment() }
            }
        } catch {
            throw failure(error, numbers).suffixed("; \(summary)\(Self.unknown(error))")
        }
    }

    private func failure(_ error: any Error, _ numbers: LineNumbers) -> CommandFailure {
        guard let error = error as? BatchEmitError else { return CommandFailure(describing: error) }
        let failure = CommandFailure(describing: error.cause)
        guard let line = numbers.line(of: error.unconfirmed.first ?? error.sent) else { return failure }
        return failure.prefixed("line \(line): ")
    }

    /// A text about events that were sent but neither acknowledged nor refused.
    private static func unknown(_ error: any Error) -> String {
        switch (error as? BatchEmitError)?.unconfirmed.count ?? 0 {
        case 0: ""
        case 1: ", 1 more may be: its acknowledgement has not arrived"
        case let count: ", \(count) more may be: their acknowledgements have not arrived"
        }
    }

    private var summary: String {
        switch counter.count {
        case 0: "nothing was stored"
        case 1: "1 event was stored"
        case let count: "\(count) events were stored"
        }
    }

    /// Counts stored events, from the store's threads.
    private final class Counter: Sendable {
        private let stored = Atomic(0)

        var count: Int { stored.load(ordering: .relaxed) }

        func increment() { stored.wrappingAdd(1, ordering: .relaxed) }
    }
}

/// A transport that passes everything on and keeps the last payload, the exact bytes that were sent.
private final class RecordingTransport: EventTransport {
    private let base: any EventTransport
    private let last = Mutex("")

    init(_ base: some EventTransport) { self.base = base }

    /// The last payload, as text.
    var lastPayload: String { last.withLock { $0 } }

    var maximumPayload: Int? { base.maximumPayload }

    func publish(_ message: OutgoingMessage) throws(MeshEventsError) {
        try base.publish(message)
        let text = String(decoding: message.payloadBytes, as: UTF8.self)
        last.withLock { $0 = text }
    }

    func waitUntilWritable() async throws(MeshEventsError) { try await base.waitUntilWritable() }

    func flush(timeout: Duration) async throws(MeshEventsError) { try await base.flush(timeout: timeout) }

    func subscribe(
        to subject: String,
        queueGroup: String?,
        receiver: any MessageReceiver
    ) async throws(MeshEventsError) -> any TransportSubscription {
        try await base.subscribe(to: subject, queueGroup: queueGroup, receiver: receiver)
    }
}
