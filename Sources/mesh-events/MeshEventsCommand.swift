import ArgumentParser
import Foundation
import MeshSupervision
import NATSClient

/// The root command; the only place that turns a command's result into an exit code.
@main
struct MeshEventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mesh-events",
        abstract: "Run the nodes and tools of a mesh, and emit, watch and list their events.",
        discussion: """
            Events are sent over NATS; the JetStream stream MESH_EVENTS keeps them for 24 hours, its \
            archive for 7 days.

            FIRST STEPS
              mesh-events init                 # writes mesh.yaml: a node with a tool
              mesh-events serve --dashboard    # runs it, with a server and a page
              mesh-events status               # in another terminal: how it is
              mesh-events doctor               # what could be better, and how

            EXAMPLES, each in a terminal of its own:
              mesh-events watch                # every event as it arrives
              mesh-events watch 'tool.*'       # only those of tools
              mesh-events list --since 10m     # what happened lately
              mesh-events replay --follow      # all stored events, then new ones
              mesh-events emit user.backup.done files=120
              mesh-events status --check       # the state, as an exit code for scripts
              mesh-events tool logs clock -f   # what a tool writes
              mesh-events wait-for node.joined --node pi --timeout 5m
              mesh-events on tool.crashed --durable alerts -- ./alert.sh
              mesh-events dead-letters list alerts    # what was given up; retry, discard
              mesh-events alert list           # what fires now

            Without `mesh-events auth` every program that reaches the server may do everything; by default that is \
            this machine alone.

            SERVER: --nats, else the environment variable JB_NATS_URL, else that of the `nats` tool's context: --context, \
            else NATS_CONTEXT, else the selected one (not for `serve`, which starts a server); else nats://127.0.0.1:4222. \
            In a login in the URL, percent-encode all characters except letters and digits (',' is %2C, '@' is %40, '/' \
            is %2F).

            STREAM: --stream, else MESH_EVENTS_STREAM, else MESH_EVENTS. Behind a leaf node name the hub's JetStream \
            domain: --js-domain, or MESH_EVENTS_JS_DOMAIN.

            EXIT CODES: 0 done; 64 wrong usage; 65 bad data; 69 the server cannot be reached or refuses the request; \
            70 an internal error; 75 the awaited event has not happened, or a rolling restart has skipped nodes; 76 the stream \
            was deleted and created anew meanwhile. Then one line on standard error says what to do. `status --check`: 1 something is degraded, 2 \
            something has failed or is unreachable; `doctor`: 2 something fails.
            """,
        version: PackageVersion.current,
        groupedSubcommands: [
            CommandGroup(
                name: "Set-up",
                subcommands: [
                    InitCommand.self, ServeCommand.self, DoctorCommand.self, AuthCommand.self, KeyCommand.self,
                    ContextCommand.self,
                ]
            ),
            CommandGroup(
                name: "Mesh",
                subcommands: [
                    StatusCommand.self, DashboardCommand.self, ToolCommand.self, NodeCommand.self, LogsCommand.self,
                    AlertCommand.self, KeepCommand.self, MCPCommand.self,
                ]
            ),
            CommandGroup(
                name: "Event",
                subcommands: [
                    WatchCommand.self, ListCommand.self, EmitCommand.self, WaitForCommand.self, OnCommand.self,
                    DeadLettersCommand.self, ReplayCommand.self, ExportCommand.self, ImportCommand.self,
                    StreamCommand.self, SchemaCommand.self,
                ]
            ),
        ]
    )

    static func main() async {
        Signals.hold()
        StandardDescriptors.occupyClosed()
        DescriptorLimit.raise()
        // When the reader of a pipe ends (`| head`), the write fails instead of a signal killing the process.
        signal(SIGPIPE, SIG_IGN)
        Foundation.exit(await execute(Array(CommandLine.arguments.dropFirst())))
    }

    /// Runs a command line.
    ///
    /// - Returns: The exit code.
    private static func execute(_ arguments: [String]) async -> Int32 {
        do {
            var command = try parseAsRoot(arguments)
            if !(command is any SignalHandlingCommand) { Signals.release() }
            try DescriptorLimit.require(DescriptorLimit.command, for: "mesh-events")
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            return 0
        } catch is OutputClosed {
            return 0
        } catch let code as ExitCode {
            // The result of a check, which has printed what it found.
            return code.rawValue
        } catch let failure as CommandFailure {
            Diagnostics.say(failure.message + hint(for: failure, arguments))
            return failure.code.rawValue
        } catch {
            return report(error, arguments)
        }
    }

    private static func report(_ error: any Error, _ arguments: [String]) -> Int32 {
        let code = exitCode(for: error)
        if code == .success {
            // Help, the version, a completion script.
            try? LineOutput.standard().write(fullMessage(for: error))
            return 0
        }
        let failure =
            code == .validationFailure
            ? CommandFailure(.usage, unknownCommand(arguments) ?? message(for: error))
            : CommandFailure(describing: error)
        Diagnostics.say(failure.message + hint(for: failure, arguments))
        return failure.code.rawValue
    }

    /// What is said of a first word that is no command.
    private static func unknownCommand(_ arguments: [String]) -> String? {
        guard let word = arguments.first, !word.hasPrefix("-"), word != "help", words(arguments).isEmpty else {
            return nil
        }
        let names = configuration.subcommands.map { $0._commandName }
        return "there is no command '\(word)'\(NearestName.hint(for: word, among: names))"
    }

    /// The words of a command line that name its command: `tool`, `logs`.
    private static func words(_ arguments: [String]) -> [String] {
        var words: [String] = []
        var command: any ParsableCommand.Type = Self.self
        for argument in arguments {
            let known = command.configuration.subcommands
            guard let next = known.first(where: { $0._commandName == argument }) else { break }
            words.append(argument)
            command = next
        }
        return words
    }

    private static func hint(for failure: CommandFailure, _ arguments: [String]) -> String {
        guard failure.isInHelp else { return "" }
        let command = words(arguments).map { " " + $0 }.joined()
        let end = failure.message.last.map { ".?!".contains($0) } == true ? " See" : "; see"
        return "\(end) `mesh-events\(command) --help`"
    }
}
