import ArgumentParser
import Foundation
import MeshEvents
import NATSClient

/// `mesh-events context`.
struct ContextCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "context",
        abstract: "List and show the contexts of the `nats` tool: servers and logins that were saved under a name.",
        discussion: """
            Contexts are in $XDG_CONFIG_HOME/nats, else ~/.config/nats; `nats context` saves, selects and removes them. \
            Every command takes one with --context or NATS_CONTEXT. Without these, and without --nats and JB_NATS_URL, \
            commands use the selected one; `serve` does not, it starts a server of its own.

            Options and environment variables win over a context, field by field. A field that is not supported is an \
            error that names it.

            EXAMPLES
              mesh-events context ls
              mesh-events context show production
              mesh-events status --context production
            """,
        subcommands: [ContextListCommand.self, ContextShowCommand.self]
    )

    /// The directory of contexts.
    ///
    /// - Throws: `CommandFailure` when it is not known.
    fileprivate static func directory() throws -> NATSContextDirectory {
        guard let directory = NATSContextDirectory() else {
            throw CommandFailure(.usage, "contexts cannot be found: neither XDG_CONFIG_HOME nor HOME is set")
        }
        return directory
    }
}

/// `mesh-events context ls`.
private struct ContextListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List the contexts; the selected one has a star.",
        usage: "mesh-events context ls [--json]",
        discussion: """
            With --json each context is a line: name, selected, url, login, description, and problem when it cannot be \
            used. Logins in URLs are left out.

            EXAMPLES
              mesh-events context ls
            """,
        aliases: ["list"]
    )

    @Flag(help: "Print each context as a line of JSON.")
    var json = false

    func run() async throws {
        let directory = try ContextCommand.directory()
        let contexts = directory.names.map { ListedContext($0, in: directory) }
        if let selected = directory.selected, !contexts.contains(where: \.isSelected) {
            Diagnostics.say(
                "the selected context \(selected.debugDescription) does not exist; see `nats context select`"
            )
        }
        let terminal = Terminal.output
        guard !contexts.isEmpty || json else {
            return Diagnostics.say("there is no context in \(directory.path); `nats context save` makes one")
        }
        let lines =
            json
            ? contexts.map { terminal.safe(json: $0.json) }
            : ListedContext.table(contexts).lines(isColored: terminal.usesColor(), width: terminal.width)
        var output = LineFile(LineOutput.standard())
        for line in lines { try output.write(line) }
        try output.flush()
    }
}

/// A context for a list.
struct ListedContext {
    let name: String
    let isSelected: Bool
    /// `nil` when its file cannot be read.
    private let context: NATSContext?
    /// Why it cannot be used; `nil` when it can.
    let problem: String?

    init(
        _ name: String,
        in directory: NATSContextDirectory,
        _ environment: [String: String] = ProcessInfo.processInfo.environment
    ) {
        self.name = name
        isSelected = directory.selected == name
        var (context, problem): (NATSContext?, String?) = (nil, nil)
        do throws(NATSError) {
            context = try directory.context(name)
            _ = try context?.configuration(environment: environment)
        } catch {
            problem = error.message
        }
        (self.context, self.problem) = (context, problem)
    }

    /// The contexts for people.
    static func table(_ contexts: [ListedContext]) -> TextTable {
        var table = TextTable(["NAME", "LOGIN", "URL", "DESCRIPTION"], shrinking: [2])
        for listed in contexts {
            table.add([
                .init((listed.isSelected ? "* " : "  ") + SafeText.name(listed.name), .cyan),
                .init(listed.context?.loginKind ?? "-"),
                .init(listed.context?.shownURL ?? "-"),
                listed.problem.map { .init($0, .red) } ?? .init(listed.context?.descriptionText ?? ""),
            ])
        }
        return table
    }

    /// The context as a line of JSON.
    var json: String {
        let members: [(String, JSONValue)] = [
            ("name", .string(name)), ("selected", .bool(isSelected)),
            ("url", context.map { .string($0.shownURL) } ?? .null),
            ("login", context.map { .string($0.loginKind) } ?? .null),
            ("description", context?.descriptionText.map { .string($0) } ?? .null),
            ("problem", problem.map { .string($0) } ?? .null),
        ]
        return EventData(JSONObject(members)).json
    }
}

/// `mesh-events context show`.
private struct ContextShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show the fields of a context; secrets are hidden.",
        usage: "mesh-events context show [NAME] [--json]",
        discussion: """
            NAME is a context, or a file of one that ends with .json; without it, the one that NATS_CONTEXT names, else \
            the selected one. Says on standard error when the context cannot be used, and ends with exit code 64.

            EXAMPLES
              mesh-events context show
              mesh-events context show production --json
            """
    )

    @Argument(help: ArgumentHelp("The context.", valueName: "name"))
    var name: String?

    @Flag(help: "Print the context as one line of JSON.")
    var json = false

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let context = try context(environment)
        try write(context)
        do throws(NATSError) {
            _ = try context.configuration(environment: environment)
        } catch {
            throw CommandFailure(.usage, error.message)
        }
    }

    private func context(_ environment: [String: String]) throws -> NATSContext {
        do throws(NATSError) {
            let chosen = try ChosenNATSContext(name, environment, includesSelected: true)
            if let chosen { return chosen.context }
        } catch {
            throw CommandFailure(.usage, error.message)
        }
        throw CommandFailure(.usage, "no context is selected; name one of `mesh-events context ls`")
    }

    private func write(_ context: NATSContext) throws {
        let terminal = Terminal.output
        let facts = [(name: "context", value: context.name), ("file", context.path)] + context.shownFields
        let lines: [String]
        if json {
            let members = facts.map { ($0.name, JSONValue.string($0.value)) }
            lines = [terminal.safe(json: EventData(JSONObject(members)).json)]
        } else {
            var table = FactTable()
            for fact in facts { table.add(SafeText.escaped(fact.name), fact.value) }
            lines = table.lines(isColored: terminal.usesColor(), width: terminal.width)
        }
        var output = LineFile(LineOutput.standard())
        for line in lines { try output.write(line) }
        try output.flush()
    }
}
