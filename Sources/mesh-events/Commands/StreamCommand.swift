import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// `mesh-events stream`.
struct StreamCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stream",
        abstract: "Show the stream that keeps the events, change its limits, or empty it.",
        discussion: """
            EXAMPLES
              mesh-events stream create
              mesh-events stream info
              mesh-events stream update --max-age 7d --max-messages 1000000
              mesh-events stream purge 'user.debug.>' --yes
              mesh-events stream durable alerts tool.crashed
              mesh-events stream forget alerts --yes
            """,
        subcommands: [
            StreamCreateCommand.self, StreamInfoCommand.self, StreamUpdateCommand.self, StreamPurgeCommand.self,
            StreamDurableCommand.self, StreamForgetCommand.self,
        ]
    )

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
        abstract: "Create the stream that keeps the events, unless it exists.",
        usage: "mesh-events stream create [--json]",
        discussion: """
            Without this command, the first node or acknowledged emit creates the stream. Where users have roles \
            (`mesh-events auth`), only admins may create it: once, after the server has been set up. It keeps 24 hours \
            and 10000 events; `mesh-events stream update` changes that.

            EXAMPLES
              mesh-events stream create --nkey admin.nk --tls-ca ca.pem
            """
    )

    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let (opening, report) = try await StreamCommand.withStore(connection) { store in
            (try await store.open(connection.persistence()), try await store.report())
        }
        if !opening.created { Diagnostics.say("the stream \(report.state.name) exists already, and stays unchanged") }
        let lines =
            output.json
            ? [Terminal.output.safe(json: StreamReportFormatter.json(report))]
            : StreamReportFormatter.limits(report.configuration)
        for line in lines { try LineOutput.standard().write(line) }
    }
}

/// `mesh-events stream update`.
private struct StreamUpdateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "update",
        abstract: "Change the stream's limits; limits that are not named stay unchanged.",
        usage: "mesh-events stream update [--max-age DURATION|none] [--max-messages N|none] [--max-bytes N|none] "
            + "[--replicas N] [--duplicate-window DURATION]",
        discussion: """
            A smaller limit deletes the oldest events at once. With any limit but 24 hours and 10000 events, Go nodes \
            that insist on their default (the Go CLI does) can no longer open the stream.

            EXAMPLES
              mesh-events stream update --max-age 7d --max-messages none
              mesh-events stream update --max-age 24h --max-messages 10000      # the default again
              mesh-events stream update --replicas 3
            """
    )

    @Option(help: ArgumentHelp("How long events are kept: 12h, 7d, or none.", valueName: "duration"))
    var maxAge: String?

    @Option(help: ArgumentHelp("How many events are kept, or none.", valueName: "n"))
    var maxMessages: String?

    @Option(help: ArgumentHelp("How many bytes are kept, or none.", valueName: "n"))
    var maxBytes: String?

    @Option(help: ArgumentHelp("On how many servers of a cluster the stream lives, 1 to 5.", valueName: "n"))
    var replicas: Int?

    @Option(help: ArgumentHelp("How long message ids are remembered.", valueName: "duration"))
    var duplicateWindow: String?

    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
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
        guard age != nil || messages != nil || bytes != nil || replicas != nil || window != nil else {
            throw CommandFailure(.usage, "name what to change, for example --max-age 7d")
        }
        let report = try await StreamCommand.withStore(connection) { store in
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
            return try await store.report()
        }
        let lines =
            output.json
            ? [Terminal.output.safe(json: StreamReportFormatter.json(report))]
            : StreamReportFormatter.limits(report.configuration)
        for line in lines { try LineOutput.standard().write(line) }
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
        abstract: "Show the stream's content, its limits, and its consumers.",
        discussion: """
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
        let report = try await StreamCommand.withStore(connection) { try await $0.report() }
        let lines =
            output.json
            ? [Terminal.output.safe(json: StreamReportFormatter.json(report))] : StreamReportFormatter.lines(report)
        for line in lines { try LineOutput.standard().write(line) }
    }
}

/// `mesh-events stream purge`.
private struct StreamPurgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge",
        abstract: "Delete stored events permanently.",
        usage: "mesh-events stream purge [PATTERN] --yes",
        discussion: """
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
              mesh-events auth allow ~/mesh-auth tool --durable jobs      # then SIGHUP to the server
              mesh-events stream durable jobs 'user.job.*' --nkey ~/mesh-auth/admin.nk --tls-ca ~/mesh-auth/ca.pem
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

/// Writes a stream's report for people and for programs.
enum StreamReportFormatter {
    /// The report in lines for people.
    static func lines(_ report: StreamReport) -> [String] {
        let state = report.state
        var lines = [
            "stream            \(SafeText.name(state.name))",
            "events            \(state.messages), \(bytes(state.bytes))",
            "sequences         \(state.firstSequence) to \(state.lastSequence)",
        ]
        if let first = report.firstTime, let last = report.lastTime {
            lines += ["oldest            \(first)", "newest            \(last)"]
        }
        lines += limits(report.configuration)
        if !report.subjects.isEmpty {
            lines += ["", "events by type"]
            let width = "\(report.subjects.values.max() ?? 0)".count
            lines += types(report).map { type, count in
                String(repeating: " ", count: width - "\(count)".count + 2) + "\(count)  \(SafeText.name(type))"
            }
        }
        if !report.consumers.isEmpty {
            lines += ["", "consumers"]
            lines += report.consumers.map { consumer in
                let filters = consumer.filters.map(SafeText.name).joined(separator: " ")
                return "  \(SafeText.name(consumer.name))\(consumer.isDurable ? "" : " (temporary)"): "
                    + "lag \(consumer.pending), \(consumer.unacknowledged) unacknowledged, \(consumer.redelivered) of them redelivered"
                    + (filters.isEmpty ? "" : ", reads \(filters)")
            }
        }
        return lines
    }

    /// The stream's limits in lines for people.
    static func limits(_ configuration: PersistentEventBus.Configuration) -> [String] {
        [
            "kept for          \(configuration.maximumAge.map(duration) ?? "ever")",
            "at most           \(configuration.maximumMessages.map { "\($0) events" } ?? "any number of events")"
                + (configuration.maximumBytes.map { ", \(bytes(UInt64($0)))" } ?? ""),
            "storage           \(configuration.storage.rawValue), replicas \(configuration.replicas)",
            "ids remembered    \(configuration.duplicateWindow.map(duration) ?? "as the server does by default")",
        ]
    }

    /// The report as one line of JSON.
    static func json(_ report: StreamReport) -> String {
        let configuration = report.configuration
        let object: JSONValue = [
            "stream": .string(report.state.name),
            "messages": .init(report.state.messages),
            "bytes": .init(report.state.bytes),
            "first_sequence": .init(report.state.firstSequence),
            "last_sequence": .init(report.state.lastSequence),
            "first_time": report.firstTime.map { .string("\($0)") } ?? .null,
            "last_time": report.lastTime.map { .string("\($0)") } ?? .null,
            "max_age_seconds": configuration.maximumAge.map { .init($0.components.seconds) } ?? .null,
            "max_messages": configuration.maximumMessages.map { .init($0) } ?? .null,
            "max_bytes": configuration.maximumBytes.map { .init($0) } ?? .null,
            "storage": .string(configuration.storage.rawValue),
            "replicas": .init(configuration.replicas),
            "types": .object(JSONObject(types(report).map { ($0.type, .init($0.count)) })),
            "consumers": .array(
                report.consumers.map { consumer in
                    [
                        "name": .string(consumer.name),
                        "durable": .bool(consumer.isDurable),
                        "filters": .array(consumer.filters.map { .string($0) }),
                        "lag": .init(consumer.pending),
                        "unacknowledged": .init(consumer.unacknowledged),
                        "redelivered": .init(consumer.redelivered),
                    ]
                }
            ),
        ]
        return "\(object)"
    }

    /// Counts by event type, the most frequent first.
    private static func types(_ report: StreamReport) -> [(type: String, count: UInt64)] {
        report.subjects.map { ($0.key.hasPrefix("events.") ? String($0.key.dropFirst(7)) : $0.key, $0.value) }
            .sorted { ($1.1, $0.0) < ($0.1, $1.0) }
            .map { (type: $0.0, count: $0.1) }
    }

    static func bytes(_ count: UInt64) -> String {
        let units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(count)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        guard unit > 0 else { return "\(count) bytes" }
        return "\((value * 10).rounded() / 10) \(units[unit])"
    }

    static func duration(_ duration: Duration) -> String {
        let seconds = duration.components.seconds
        guard seconds > 0 else { return "\(duration)" }
        for (size, name) in [(86_400, "d"), (3_600, "h"), (60, "m")] as [(Int64, String)] where seconds % size == 0 {
            return "\(seconds / size)\(name)"
        }
        return "\(seconds)s"
    }
}
