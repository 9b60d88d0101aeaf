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
    static func failure(_ report: ToolRollout.Report, _ request: ToolRequest) -> CommandFailure? {
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
            "the \(request.action.rawValue) is not done on all nodes; \(parts.joined(separator: "; ")). "
                + RolloutAdvice(report: report, request: request).text
        )
    }
}

/// How the tool is on each node after a rollout that was not done everywhere, and the commands that go on or back.
private struct RolloutAdvice {
    /// The most nodes of a kind that are written about.
    private static let mostNodes = 5

    let report: ToolRollout.Report
    let request: ToolRequest

    var text: String {
        let former = report.untouched + report.skipped.map(\.node)
        var parts = Self.first(report.failures) { failure in
            let tool = word(failure.node)
            guard let result = failure.result else {
                return "see how it is on \(SafeText.name(failure.node)): `mesh-events status \(tool)`"
            }
            let version = result.version.flatMap { $0.isEmpty ? nil : "version \(SafeText.name($0)), " } ?? ""
            let (node, state) = (SafeText.name(failure.node), SafeText.escaped(result.state.rawValue))
            return "on \(node) it is now \(version)\(state); `mesh-events tool logs \(tool)` shows why"
        }
        if !former.isEmpty {
            parts.append("on \(Self.first(former, SafeText.name).joined(separator: ", ")) it is as it was")
        }
        parts.append("to go on when the cause is mended, give the same command again")
        if let back { parts.append(back) }
        return parts.joined(separator: "; ")
    }

    /// How to have the former specification again, where it may be another now; `nil` when there is no such node.
    private var back: String? {
        let changed = report.done.map(\.node) + report.failures.map(\.node)
        guard request.action == .upgrade, let first = changed.first else { return nil }
        let others = Self.first(Array(changed.dropFirst()), word)
        let same = others.isEmpty ? "" : ", and so for \(others.joined(separator: ", "))"
        let command = "`mesh-events tool upgrade \(word(first)) --config FORMER-FILE`"
        return "to go back: \(command)\(same); a node whose manifest has the tool goes back to that on SIGHUP"
    }

    /// The tool on a node, as a word of a command line.
    private func word(_ node: String) -> String {
        let name = "\(node)/\(request.tool)"
        let isPlain = name.unicodeScalars.allSatisfy { scalar in
            scalar.isASCII && (scalar.properties.isAlphabetic || "0123456789-._/".unicodeScalars.contains(scalar))
        }
        if isPlain, !name.hasPrefix("-") { return name }
        let safe = SafeText.escaped(name, columns: 2 * SafeText.longestName)
        return "'\(safe.replacing("'", with: "'\\''"))'"
    }

    /// The texts of the first ones, and how many more there are.
    private static func first<Node>(_ nodes: [Node], _ text: (Node) -> String) -> [String] {
        let more = nodes.count - mostNodes
        return nodes.prefix(mostNodes).map(text) + (more > 0 ? ["\(more) more"] : [])
    }
}
