import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// `mesh-events stream update`.
struct StreamUpdateCommand: AsyncParsableCommand {
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
        let age = try Self.limit(maxAge, "--max-age", "a duration like 12h") { DurationText.parse($0) }
        let messages = try Self.limit(maxMessages, "--max-messages", "a number", Self.count)
        let bytes = try Self.limit(maxBytes, "--max-bytes", "a number", Self.count)
        let window = try duplicateWindow.map { text in
            guard let window = DurationText.parse(text) else {
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
            ? [Terminal.output.safe(json: StreamText.json(report))] : StreamText.limits(report.configuration)
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
