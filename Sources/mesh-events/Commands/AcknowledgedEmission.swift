import MeshEvents
import MeshEventsNATS

/// Emits an event, and prints a line when the stream has stored it. Creates the stream when there is none.
struct AcknowledgedEmission {
    private let connection: ConnectionOptions
    private let transport: NATSTransport
    private let configuration: EventBus.Configuration

    init(_ connection: ConnectionOptions, _ transport: NATSTransport, _ configuration: EventBus.Configuration) {
        self.connection = connection
        self.transport = transport
        self.configuration = configuration
    }

    /// Emits the event, which names its node.
    ///
    /// - Parameters:
    ///   - json: whether to print the stored event as a line of JSON.
    ///   - text: the line to print otherwise.
    func emit(_ event: Event, json: Bool, text: (StoredPosition) -> String) async throws {
        let store = try connection.store(transport)
        defer { Self.sayOthers(store) }
        let bus = try await PersistentEventBus.open(
            transport: transport,
            store: store,
            node: event.node,
            configuration: connection.persistence(),
            busConfiguration: configuration,
            logger: .disabled
        )
        let position = try await bus.emit(event)
        guard json else { return try LineOutput.standard().write(text(position)) }
        let page = try await bus.history(EventHistory.Query(limit: 1, before: position.sequence.nextSequence))
        let line = EventJSON(isForTerminal: Terminal.output.isTerminal)
        for stored in page.events { try LineOutput.standard().write(line.line(stored.event)) }
    }

    /// Warns that a stream of another server keeps the events too.
    static func sayOthers(_ store: JetStreamStore) {
        guard store.hasOtherStream else { return }
        Diagnostics.say(
            "another stream than the one of this server keeps these events too, and acknowledges them; its "
                + "acknowledgements do not count, and telling them apart takes a round trip or two for each event. Give each "
                + "JetStream a domain and name one with --js-domain"
        )
    }
}
