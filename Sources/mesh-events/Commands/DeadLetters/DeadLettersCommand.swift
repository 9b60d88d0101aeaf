import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// `mesh-events dead-letters`.
struct DeadLettersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead-letters",
        abstract: "List the events that a durable subscription has given up, retry or discard them.",
        discussion: """
            An event that a durable subscription gives up (`mesh-events on --durable NAME`, or a program) is stored as \
            the event user.dead_letter.NAME: a dead letter. What is done about it is stored too, as events \
            dead_letter.NAME. Nothing is deleted.

            `retry` has the original delivered again, to the handlers of that durable alone: with its sequence and its \
            time of storing, and once, however often and by whomever it is asked for. When it fails as often as \
            before, it is another dead letter. Without a handler the retry waits for one, as long as the stream keeps \
            the event dead_letter.NAME that asks for it. Handlers are programs of this package; others who use the \
            durable get no retries.

            EXAMPLES
              mesh-events dead-letters list alerts
              mesh-events dead-letters show alerts 4711
              mesh-events dead-letters retry alerts 4711
              mesh-events dead-letters retry alerts --all --since 2h
              mesh-events dead-letters discard alerts 4711 --reason 'the job was removed'

            Where users have roles (`mesh-events auth`), admins and nodes may retry and discard, and a tool those of \
            the durables that are listed for it. All may read.

            EXIT CODES: as for all commands; 69 also when there is no such dead letter, or when the original of one \
            that is to be retried is gone from the stream and its archive.
            """,
        subcommands: [
            DeadLetterListCommand.self, DeadLetterShowCommand.self, DeadLetterRetryCommand.self,
            DeadLetterDiscardCommand.self,
        ]
    )
}

/// The dead letters of one durable, for a command.
struct DeadLetterSession {
    let bus: PersistentEventBus
    let transport: NATSTransport

    /// Connects to a stream that exists.
    ///
    /// - Returns: `nil` when there is no stream; that has been said.
    static func open(
        _ connection: ConnectionOptions,
        name: String,
        node: String = "",
        configuration: EventBus.Configuration = EventBus.Configuration()
    ) async throws -> DeadLetterSession? {
        let transport = try await connection.connect(name: name)
        let store = try connection.store(transport)
        // Opening the bus would create the stream.
        let found = try await StreamAbsence(connection, transport).noted { try await store.state() }
        guard found != nil else {
            await transport.close()
            return nil
        }
        let bus = try await PersistentEventBus.open(
            transport: transport,
            store: store,
            node: node,
            configuration: connection.persistence(),
            busConfiguration: configuration,
            logger: .disabled
        )
        return DeadLetterSession(bus: bus, transport: transport)
    }

    func close() async {
        await bus.close()
        await transport.close()
    }
}

/// Which dead letters a command is about.
struct DeadLetterSelection: ParsableArguments {
    @Argument(help: ArgumentHelp("The name of the durable subscription.", valueName: "durable"))
    var durable: String

    @Argument(help: ArgumentHelp("The dead letters, by their own sequences.", valueName: "sequence"))
    var sequences: [UInt64] = []

    @Flag(help: "All dead letters about which nothing was done yet.")
    var all = false

    @Option(help: ArgumentHelp("With --all: only those stored then or later.", valueName: "when"))
    var since: String?

    /// The time of --since.
    ///
    /// - Throws: `CommandFailure`, usage, also when the selection is empty or ambiguous.
    func check() throws -> Timestamp? {
        guard all != !sequences.isEmpty else {
            throw CommandFailure(.usage, "name the dead letters by their sequences, or give --all")
        }
        guard since == nil || all else { throw CommandFailure(.usage, "--since goes with --all") }
        return try since.map { try TimeBound.parse($0, option: "--since") }
    }

    /// Reads the dead letters, and passes each to `body`, with a desk that keeps what it has read.
    ///
    /// - Throws: what `body` throws. Of several dead letters those that cannot be changed are said, and the others
    ///   changed all the same; then `CommandFailure`, unavailable.
    func each(
        _ bus: PersistentEventBus,
        since: Timestamp?,
        _ body: (inout DeadLetterDesk, DeadLetter) async throws -> Void
    ) async throws {
        var desk = try DeadLetterDesk(durable, bus)
        let letters = all ? try await desk.letters(.max, since: since).filter(\.status.isUntouched) : []
        if all, letters.isEmpty { Diagnostics.say("\(durable) has no open dead letters") }
        let wanted = all ? letters.map(\.sequence) : sequences
        var failures = 0
        for (index, sequence) in wanted.enumerated() {
            do {
                try await body(&desk, all ? letters[index] : try await desk.letter(sequence))
            } catch let error as MeshEventsError
                where wanted.count > 1 && [.eventNotFound, .conflict].contains(error.code)
            {
                failures += 1
                Diagnostics.say(error.message)
            }
        }
        guard failures > 0 else { return }
        throw CommandFailure(.unavailable, "\(failures) of \(wanted.count) dead letters stay as they were")
    }
}

extension DeadLetter.Status {
    /// Whether nothing was done about it, or what was done could not be carried out.
    fileprivate var isUntouched: Bool { if case .open = self { true } else { false } }
}
