import ArgumentParser
import Foundation
import MeshEvents
import MeshEventsNATS

/// `mesh-events import`.
struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Store the events of a file that `mesh-events export` wrote.",
        usage: "mesh-events import FILE|- [--state FILE] [--format FORMAT]",
        discussion: """
            Stores the events in the order of the lines, with their own timestamps and nodes; the stream gives them \
            new sequences and times of storing. Creates the stream when there is none. The stream's limits apply to \
            them too: the default one keeps the last 10 000 events.

            INTERRUPTIONS: the import notes its progress in FILE.import-state (or the file of --state), and removes \
            that file at the end. After an interruption, the same command continues after the last stored line and \
            stores no line twice: it reads what the stream has got since the last note. The file must be the same, the \
            note must not be lost, and only one import of a file may run at a time. There is no note for standard \
            input (-). There, and when the note is lost, a repetition stores nothing twice only within the stream's \
            duplicate window (2 minutes by default), by message ids that depend only on the line. When the stream has \
            such an id already, the import compares the stored message with the line. It counts the line as stored \
            before, or ends when it is another message.

            When the stream is deleted and created anew meanwhile, or between the interruption and the repetition, the \
            import ends with exit code 76 and names the note to delete to begin anew.

            At a bad line importing ends with exit code 65 and the line's number; everything before it is stored. On a \
            terminal a bar on standard error shows the progress.

            EXAMPLES
              mesh-events import events.ndjson
              gunzip -c events.ndjson.gz | mesh-events import -
              mesh-events import --format cloudevents events.cloudevents

            With --format cloudevents a line is a CloudEvent 1.0 in JSON, with a time, whose data is an object or \
            null. A source /mesh/nodes/NAME names the node; any other source is the node's name itself. Source and id \
            are kept in header fields, so that a later export has them again. They also make the message id that \
            identifies a stored line; other attributes are dropped.
            """
    )

    @Argument(help: ArgumentHelp("The file to read; - is standard input.", valueName: "file|-"))
    var file: String

    @Option(help: ArgumentHelp("The file for the import's progress. Default: FILE.import-state.", valueName: "file"))
    var state: String?

    @Option(help: ArgumentHelp("The format of the lines: json or cloudevents.", valueName: "format"))
    var format = LineFormat.json

    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let reader = try LineReader(path: file)
        defer { reader.close() }
        let stop = StopRequest()
        Signals.install(stop)
        let outcome: ImportRun.Outcome? = try await stop.race { try await store(reader) }
        guard let outcome else {
            throw CommandFailure(
                .unavailable,
                "stopped before everything was stored"
                    + (statePath == nil ? "" : "; the same command goes on from there")
            )
        }
        if !Terminal.error.isTerminal || outcome.skipped > 0 || outcome.gone > 0 {
            let before = outcome.skipped == 0 ? "" : ", \(outcome.skipped) had been stored before"
            let gone = outcome.gone == 0 ? "" : ", \(outcome.gone) had been stored before and are no longer kept"
            Diagnostics.say("\(outcome.stored) \(outcome.stored == 1 ? "event" : "events") stored\(before)\(gone)")
        }
    }

    private func store(_ reader: LineReader) async throws -> ImportRun.Outcome {
        let transport = try await connection.connect(name: "mesh-events import")
        let store = try connection.store(transport)
        _ = try await store.open(connection.persistence())
        let run = ImportRun(
            store: store,
            format: format,
            server: try ImportState.server(connection.serversOrDefault()),
            statePath: statePath,
            fileSize: file == "-" ? nil : Self.size(of: file)
        )
        let outcome = try await run.run(reader)
        await transport.close()
        return outcome
    }

    private var statePath: String? { state ?? (file == "-" ? nil : file + ".import-state") }

    private static func size(of path: String) -> Int? {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        guard attributes?[.type] as? FileAttributeType == .typeRegular else { return nil }
        return (attributes?[.size] as? NSNumber)?.intValue
    }
}
