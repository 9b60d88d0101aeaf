import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// `mesh-events stream`.
struct StreamCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stream",
        abstract: "Show the streams that keep the events, change their limits, or empty them.",
        discussion: """
            The stream keeps the newest events, and the archive beside it keeps older ones: by default 7 days, and of \
            each event type the newest 20000, so that health events push nothing else out. `mesh-events list`, \
            `mesh-events export` and the page read both; replays and durable subscriptions read the stream alone.

            EXAMPLES
              mesh-events stream create
              mesh-events stream info
              mesh-events stream update --keep 30d
              mesh-events stream purge 'user.debug.>' --yes
              mesh-events stream durable alerts tool.crashed
              mesh-events stream forget alerts --yes
            """,
        subcommands: [
            StreamCreateCommand.self, StreamInfoCommand.self, StreamUpdateCommand.self, StreamPurgeCommand.self,
            StreamDurableCommand.self, StreamForgetCommand.self,
        ]
    )

    /// The reports on the stream and on its archive.
    static func report(on store: JetStreamStore) async throws -> StreamReports {
        StreamReports(stream: try await store.report(), archive: try await store.archiveReport())
    }

    /// Writes a report: these lines, or JSON.
    static func write(_ report: StreamReports, _ lines: [String], _ options: OutputOptions) throws {
        let lines = options.json ? [Terminal.output.safe(json: StreamReportFormatter.json(report))] : lines
        for line in lines { try LineOutput.standard().write(line) }
    }

    /// Runs `body` with the store of the mesh's stream.
    static func withStore<Result>(
        _ connection: ConnectionOptions,
        _ body: (JetStreamStore) async throws -> Result
    ) async throws -> Result {
        let transport = try await connection.connect(name: "mesh-events stream")
        let result: Result
        do {
            result = try await body(try connection.store(transport))
        } catch let error as MeshEventsError where error.code == .streamNotFound {
            throw CommandFailure(
                .unavailable,
                "there is no stream \(try connection.place().streamName) there; `mesh-events stream create` creates it"
            )
        }
        await transport.close()
        return result
    }
}

/// `mesh-events stream create`.
private struct StreamCreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Create the streams that keep the events, unless they exist.",
        usage: "mesh-events stream create [--no-archive] [--json]",
        discussion: """
            Without this command, the first node or acknowledged emit creates the stream. Where users have roles \
            (`mesh-events auth`), only admins may create it: once, after the server has been set up. It keeps 24 hours \
            and 10000 events, as Go nodes expect it.

            The archive is a second stream, which the server fills from the first one. It keeps 7 days, and of each \
            event type the newest 20000. Go nodes do not see it; --no-archive, or MESH_EVENTS_ARCHIVE=none in the \
            environment, leaves it out. `mesh-events stream update` changes the limits of both.

            It creates the bucket for the state of the mesh too, which `mesh-events serve` and `keep` write.

            EXAMPLES
              mesh-events stream create --nkey admin.nk --tls-ca ca.pem
            """
    )

    @Flag(name: .customLong("no-archive"), help: "Create no archive.")
    var noArchive = false

    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let (opening, report) = try await StreamCommand.withStore(connection) { store in
            let opening = try await store.open(connection.persistence(archive: noArchive ? nil : .always))
            // Where users have roles, the nodes that keep the state of the mesh may not create it.
            let bucket = JetStreamStateStore(beside: store)
            do throws(MeshEventsError) { try await bucket.create() } catch {
                Diagnostics.say(
                    "the bucket \(bucket.bucketName) for the state of the mesh was not created: \(error.message)"
                )
            }
            return (opening, try await StreamCommand.report(on: store))
        }
        let name = report.stream.state.name
        if !opening.created { Diagnostics.say("the stream \(name) exists already, and stays unchanged") }
        ArchiveNotice.say(opening)
        try StreamCommand.write(report, StreamReportFormatter.limits(report), output)
    }
}

/// `mesh-events stream update`.
private struct StreamUpdateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "update",
        abstract: "Change the stream's limits; limits that are not named stay unchanged.",
        usage: "mesh-events stream update [--keep DURATION|none] [--keep-per-type N] [--max-age DURATION|none] "
            + "[--max-messages N|none] [--max-bytes N|none] [--replicas N] [--duplicate-window DURATION]",
        discussion: """
            --keep and --keep-per-type are about the archive, which `mesh-events list`, `mesh-events export` and the \
            page read; they create it when there is none. For more than 7 days, --keep raises its numbers of events \
            as well: 20000 of each type for each 7 days. Go nodes do not notice. This is what keeps events for \
            longer.

            --max-age, --max-messages, --max-bytes and --duplicate-window are about the stream itself, which replays \
            and durable subscriptions read. With any limit but 24 hours and 10000 events, Go nodes that insist on \
            their default (the Go CLI does) can no longer open it. --replicas is about both.

            A smaller limit deletes the oldest events at once.

            EXAMPLES
              mesh-events stream update --keep 30d
              mesh-events stream update --keep-per-type 200000
              mesh-events stream update --max-age 7d --max-messages none
              mesh-events stream update --max-age 24h --max-messages 10000  # the default
              mesh-events stream update --replicas 3
            """
    )

    @Option(help: ArgumentHelp("How long the archive keeps events: 30d, or none for ever.", valueName: "duration"))
    var keep: String?

    @Option(
        name: .customLong("keep-per-type"),
        help: ArgumentHelp("How many events of each type the archive keeps.", valueName: "n")
    )
    var keepPerType: Int?

    @Option(help: ArgumentHelp("How long the stream keeps events: 12h, 7d, or none.", valueName: "duration"))
    var maxAge: String?

    @Option(help: ArgumentHelp("How many events the stream keeps, or none.", valueName: "n"))
    var maxMessages: String?

    @Option(help: ArgumentHelp("How many bytes the stream keeps, or none.", valueName: "n"))
    var maxBytes: String?

    @Option(help: ArgumentHelp("On how many servers of a cluster the streams live, 1 to 5.", valueName: "n"))
    var replicas: Int?

    @Option(help: ArgumentHelp("How long message ids are remembered.", valueName: "duration"))
    var duplicateWindow: String?

    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let keep = try Self.limit(keep, "--keep", "a duration like 30d") { DurationArgument.parse($0) }
        if let keepPerType, keepPerType < 1 {
            throw CommandFailure(.usage, "--keep-per-type takes a number from 1, not \(keepPerType)")
        }
        let age = try Self.limit(maxAge, "--max-age", "a duration like 12h") { DurationArgument.parse($0) }
        let messages = try Self.limit(maxMessages, "--max-messages", "a number", Self.count)
        let bytes = try Self.limit(maxBytes, "--max-bytes", "a number", Self.count)
        let window = try duplicateWindow.map { text in
            guard let window = DurationArgument.parse(text) else {
                throw CommandFailure(
                    .usage,
                    "--duplicate-window takes a duration like 2m, not '\(SafeText.escaped(text))'"
                )
            }
            return window
        }
        let changesStream = age != nil || messages != nil || bytes != nil || replicas != nil || window != nil
        guard changesStream || keep != nil || keepPerType != nil else {
            throw CommandFailure(.usage, "name what to change, for example --keep 30d")
        }
        let report = try await StreamCommand.withStore(connection) { store in
            if changesStream { try await updateStream(store, age, messages, bytes, window) }
            if keep != nil || keepPerType != nil || replicas != nil { try await updateArchive(store, keep) }
            return try await StreamCommand.report(on: store)
        }
        try StreamCommand.write(report, StreamReportFormatter.limits(report), output)
    }

    /// Changes the stream itself.
    private func updateStream(
        _ store: JetStreamStore,
        _ age: Duration??,
        _ messages: Int??,
        _ bytes: Int??,
        _ window: Duration?
    ) async throws {
        var wanted = try await store.report().configuration
        if let age { wanted.maximumAge = age }
        if let messages { wanted.maximumMessages = messages }
        if let bytes { wanted.maximumBytes = bytes }
        if let replicas { wanted.replicas = replicas }
        if let window {
            wanted.duplicateWindow = window
        } else if let age = wanted.maximumAge, let current = wanted.duplicateWindow, current > age {
            wanted.duplicateWindow = age
        }
        wanted.reconcile = .update
        _ = try await store.open(wanted)
    }

    /// Changes the archive; --replicas alone changes only one that exists.
    private func updateArchive(_ store: JetStreamStore, _ keep: Duration??) async throws {
        let report = try await store.archiveReport()
        let present = report?.isOfPresentStream == true ? report?.limits : nil
        guard present != nil || keep != nil || keepPerType != nil else { return }
        var limits = keep.map { ArchiveConfiguration.keeping($0) } ?? present ?? ArchiveConfiguration()
        if let keepPerType {
            limits.maximumMessagesOfType = keepPerType
            // Below this, a few frequent types would push the others out.
            if let most = limits.maximumMessages { limits.maximumMessages = max(most, keepPerType.clampedProduct(25)) }
        }
        try await store.updateArchive(limits, replicas: replicas)
    }

    /// The limit of an option: `nil` when the option is missing, `.some(nil)` for `none`.
    private static func limit<Value>(
        _ text: String?,
        _ option: String,
        _ what: String,
        _ parse: (String) -> Value?
    ) throws -> Value?? {
        guard let text else { return nil }
        if text == "none" { return .some(nil) }
        guard let value = parse(text) else {
            throw CommandFailure(.usage, "\(option) takes \(what) or none, not '\(SafeText.escaped(text))'")
        }
        return value
    }

    private static func count(_ text: String) -> Int? { Int(text).flatMap { $0 > 0 ? $0 : nil } }
}

/// `mesh-events stream info`.
private struct StreamInfoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Show what the stream and its archive hold, their limits, and the consumers.",
        discussion: """
            Also says how far back events reach, and when a limit drops events that are younger than a day, which \
            command changes that. Health events are not counted in that: they are frequent, and the newest matter.

            Counts are by event type, the most frequent first. A consumer's lag is the number of events that were not \
            delivered to it yet; unacknowledged events were delivered but not acknowledged.

            EXAMPLES
              mesh-events stream info
              mesh-events stream info --json | jq .messages
            """
    )

    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let (report, advice) = try await StreamCommand.withStore(connection) { store in
            let report = try await StreamCommand.report(on: store)
            return (report, try await StreamAdvice.advice(on: report, of: store))
        }
        try StreamCommand.write(report, StreamReportFormatter.lines(report), output)
        for line in advice { Diagnostics.say(line) }
    }
}

/// `mesh-events stream purge`.
private struct StreamPurgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge",
        abstract: "Delete stored events permanently.",
        usage: "mesh-events stream purge [PATTERN] --yes",
        discussion: """
            Deletes them from the stream and from its archive.

            EXAMPLES
              mesh-events stream purge 'user.debug.>' --yes
              mesh-events stream purge --yes                    # everything
            """
    )

    @Argument(help: ArgumentHelp("Which events. Default: all.", valueName: "pattern"))
    var pattern: String?

    @Flag(help: "Really delete them.")
    var yes = false

    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let pattern = try PatternArgument.pattern(pattern)
        guard yes else {
            throw CommandFailure(.usage, "this deletes the events \(pattern) permanently; confirm with --yes")
        }
        let count = try await StreamCommand.withStore(connection) { try await $0.purge(matching: pattern) }
        try LineOutput.standard().write("deleted \(count) \(count == 1 ? "event" : "events")")
    }
}

/// `mesh-events stream forget`.
private struct StreamForgetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget",
        abstract: "Delete a durable subscription and its position.",
        usage: "mesh-events stream forget NAME --yes",
        discussion: """
            A durable subscription (`mesh-events on --durable NAME`, or one of a program) keeps its position in the \
            stream until a user deletes it. `mesh-events stream info` lists them. No event is deleted. A running \
            subscriber ends with an error.

            EXAMPLES
              mesh-events stream forget alerts --yes
            """
    )

    @Argument(help: ArgumentHelp("The durable subscription's name.", valueName: "name"))
    var name: String

    @Flag(help: "Really delete it.")
    var yes = false

    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        guard yes else {
            throw CommandFailure(
                .usage,
                "this deletes the position of the durable subscription \(name.debugDescription); confirm with --yes"
            )
        }
        try await StreamCommand.withStore(connection) { try await $0.deleteDurable(name) }
        try LineOutput.standard().write("forgot the durable subscription \(SafeText.escaped(name))")
    }
}

/// `mesh-events stream durable`.
private struct StreamDurableCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "durable",
        abstract: "Create a durable subscription, for users who may not create it.",
        usage: "mesh-events stream durable NAME [PATTERN] [--from WHERE] [--max-deliveries N] [--ack-wait DURATION] "
            + "[--update]",
        discussion: """
            `mesh-events on --durable NAME` and programs create their durable subscription themselves. Where users \
            have roles (`mesh-events auth`), only admins may: a tool or a node may consume the durables that are \
            listed for it, once they exist. PATTERN selects their events, by default all. The options must be the same \
            as those of the tool.

            EXAMPLES
              mesh-events auth allow ~/mesh-auth tool --durable jobs   # then SIGHUP there
              mesh-events stream durable jobs 'user.job.*' \\
                --nkey ~/mesh-auth/admin.nk --tls-ca ~/mesh-auth/ca.pem
              mesh-events on 'user.job.*' --durable jobs -- ./work.sh     # the tool

            EXIT CODES: 69 also when NAME exists with other settings; --update changes them.
            """
    )

    @Argument(help: ArgumentHelp("The durable subscription's name.", valueName: "name"))
    var name: String

    @Argument(help: ArgumentHelp("Which events. Default: all.", valueName: "pattern"))
    var pattern: String?

    @Option(
        help: ArgumentHelp("Where a new NAME begins, as for `mesh-events on`. Default: beginning.", valueName: "where")
    )
    var from: String?

    @Option(
        name: .customLong("max-deliveries"),
        help: ArgumentHelp("After how many deliveries an event is given up. Default: 5.", valueName: "n")
    )
    var maximumDeliveries = DurableSubscription.Configuration().maximumDeliveries

    @Option(
        name: .customLong("ack-wait"),
        help: ArgumentHelp(
            "How long an event may stay unacknowledged before it is redelivered. Default: 30s.",
            valueName: "duration"
        )
    )
    var acknowledgementWait: String?

    @Flag(help: "When NAME exists with other settings, change them.")
    var update = false

    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let durable = DurableDefinition(
            name: name,
            pattern: try PatternArgument.pattern(pattern),
            start: try OnStart.parse(from),
            acknowledgementWait: try DurationArgument.option("--ack-wait", acknowledgementWait)
                ?? DurableSubscription.Configuration().acknowledgementWait,
            maximumDeliveries: maximumDeliveries
        )
        try durable.validate()
        let isThere = try await StreamCommand.withStore(connection) { store in
            let isThere = try await store.report().consumers.contains { $0.name == name }
            _ = try await store.openDurable(durable, reconcile: update ? .update : .fail)
            return isThere
        }
        if isThere { Diagnostics.say("the durable \(name) existed already; it keeps its position") }
        try LineOutput.standard().write("\(name) takes \(SafeText.name(durable.pattern.subject))")
    }
}
