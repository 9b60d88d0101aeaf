import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// The options for a request about a tool on several nodes, and for what is waited for.
struct ToolTargetOptions: ParsableArguments {
    @Flag(help: "On every node of the mesh that has the tool.")
    var all = false

    @Flag(
        name: .customLong("one-by-one"),
        help: """
            With --all: one node after the other; those that do not answer at the beginning are skipped, the first that fails \
            ends it, and the rest are left alone.
            """
    )
    var oneByOne = false

    @Flag(
        name: .customLong("wait-ready"),
        help: "Wait until the tool runs, is ready or need not show it, and has been so for two seconds."
    )
    var waitsUntilReady = false

    @Option(
        help: ArgumentHelp(
            "Who asks, for the event tool.controlled: a claim. Default: the user and the host.",
            valueName: "who"
        )
    )
    var by: String?

    /// Checks the options.
    ///
    /// - Throws: `CommandFailure`, usage.
    func check(node: String?) throws {
        if node?.isEmpty == true { throw CommandFailure(.usage, "--node must not be empty") }
        if all, node != nil { throw CommandFailure(.usage, "give --node or --all, not both") }
        if oneByOne, !all { throw CommandFailure(.usage, "--one-by-one needs --all") }
        if let by, by.isEmpty || by.utf8.count > ToolRequest.maximumText {
            throw CommandFailure(.usage, "--by must have from 1 to \(ToolRequest.maximumText) bytes")
        }
    }
}

/// Prints what comes of a request on several nodes.
struct ToolRolloutPrinter {
    let output = LineOutput.standard()

    /// Prints what came of it on a node. That standard output has no reader ends nothing: the rollout goes on.
    func print(_ step: ToolRollout.Step) {
        switch step {
        case .done(let result): try? output.write(Self.line(result))
        case .nameIsShared(let result): Self.warn(result)
        case .failed(let node, let error): Diagnostics.say("\(SafeText.name(node)): \(error.message)")
        case .skipped(let node, let error): Diagnostics.say("\(SafeText.name(node)) is skipped: \(error.message)")
        }
    }

    /// `whisper on gpu-1: running`.
    static func line(_ result: ToolControlResult) -> String {
        let ready = result.state == .running && result.readiness == .notReady ? ", not ready" : ""
        let state = SafeText.escaped(result.state.rawValue)
        return "\(SafeText.name(result.tool)) on \(SafeText.name(result.node)): \(state)\(ready)"
    }

    /// Says when several nodes have answered.
    static func warn(_ result: ToolControlResult) { result.warning.map(Diagnostics.say) }

    /// The failure that a report means; `nil` when all is done.
    static func failure(_ report: ToolRollout.Report, _ action: ToolAction) -> CommandFailure? {
        guard !report.isComplete else { return nil }
        var groups = [
            ("done", report.done.map(\.node)), ("failed", report.failures.map(\.node)),
            ("not touched", report.untouched),
        ]
        if !report.skipped.isEmpty { groups.append(("skipped", report.skipped.map(\.node))) }
        let parts = groups.map { what, nodes in
            "\(what): \(nodes.isEmpty ? "none" : nodes.map(SafeText.name).joined(separator: ", "))"
        }
        let isDoneWhereItCould = !report.done.isEmpty && report.failures.isEmpty && report.untouched.isEmpty
        return CommandFailure(
            isDoneWhereItCould ? .notHappened : .unavailable,
            "the \(action.rawValue) is not done on all nodes; \(parts.joined(separator: "; "))"
        )
    }
}
