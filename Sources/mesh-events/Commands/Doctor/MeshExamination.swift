import MeshEvents
import MeshMonitoring

/// What is found about the clocks, who keeps the state, who watches alerts, and the nodes. A value.
struct MeshExamination: Sendable {
    /// Whether a process watches alerts.
    enum Watching: Sendable {
        /// One does.
        case held
        /// One did, and none does any more.
        case ended
        case neverSetUp
        /// That may not be read, or was not answered in time.
        case unknown
    }

    /// What is known of the nodes.
    enum State: Sendable {
        case known(MeshState)
        /// It may not be read, or reading it has failed.
        case unreadable
        /// It was not answered in time.
        case late
    }

    /// How far this machine's clock is ahead of the server's; `nil` when the server does not say.
    var lead: Duration?
    /// How far the clocks of nodes are ahead of the server's, by their newest health events.
    var leads: [(node: String, lead: Duration)]
    /// Who keeps the state; `nil` when that could not be read.
    var keeper: KeeperReport?
    var watching: Watching
    var mesh: State

    /// How far a clock may be off. What nodes say of times is shown to the second.
    static let tolerance: Duration = .seconds(2)
    private static let named = 5

    var findings: [Finding] { [clock, clocks, keeping, alerts, nodes].compactMap(\.self) }

    private var clock: Finding? {
        guard let lead else {
            return Finding("clock", .fine, "the server does not say what time it has (it is older than 2.10)")
        }
        guard Self.size(lead) > Self.tolerance else {
            return Finding("clock", .fine, "this machine's agrees with the server's")
        }
        return Finding(
            "clock",
            .advice,
            "this machine's is \(Self.offset(lead)) \(lead > .zero ? "of the" : "the") server's",
            cure: "run a time service, such as systemd-timesyncd, on both"
        )
    }

    private var clocks: Finding? {
        let wrong = leads.filter { Self.size($0.lead) > Self.tolerance }
            .sorted { Self.size($0.lead) > Self.size($1.lead) }
        guard !wrong.isEmpty else {
            return leads.isEmpty
                ? nil
                : Finding(
                    "clocks",
                    .fine,
                    "\(leads.count == 1 ? "that of one node agrees" : "those of \(leads.count) nodes agree") with the server's"
                )
        }
        let names = wrong.prefix(Self.named).map { "\(SafeText.name($0.node)) (\(Self.offset($0.lead)))" }
        let more = wrong.count - names.count
        return Finding(
            "clocks",
            .advice,
            "these nodes' differ from the server's: \(names.joined(separator: ", "))"
                + (more > 0 ? " and \(more) more" : ""),
            cure: "run a time service there; times in their events are wrong, order and ages are not"
        )
    }

    private var keeping: Finding? {
        guard let keeper else { return nil }
        guard let node = keeper.keeper else {
            return Finding(
                "keeper",
                .advice,
                "no node keeps the state of the mesh: one that dies is not announced, and `status` reads the whole stream",
                cure: "run `mesh-events serve` on a node, or `mesh-events keep`"
            )
        }
        let behind = keeper.behind ?? 0
        guard behind > 20_000 else {
            return Finding("keeper", .fine, "\(SafeText.name(node)) keeps the state of the mesh")
        }
        return Finding(
            "keeper",
            .advice,
            "\(SafeText.name(node)) keeps the state of the mesh, and is \(behind) events behind",
            cure: "let a node nearer to the server keep it: `mesh-events serve --no-keep` on the others"
        )
    }

    private var alerts: Finding {
        switch watching {
        case .held: Finding("alerts", .fine, "a process watches them")
        case .ended:
            Finding(
                "alerts",
                .failure,
                "no process watches them any more: what fails is told to no target",
                cure: "run `mesh-events alert run --config FILE`, or `serve` with a manifest that has alerts"
            )
        case .unknown: Finding("alerts", .advice, "whether a process watches them could not be read")
        case .neverSetUp:
            Finding(
                "alerts",
                .advice,
                "none are set up: what fails is told to no person",
                cure: "`alerts:` and `notify:` in mesh.yaml; `mesh-events alert --help`"
            )
        }
    }

    private var nodes: Finding? {
        let mesh: MeshState
        switch self.mesh {
        case .known(let state): mesh = state
        case .unreadable: return nil
        case .late: return Finding("nodes", .failure, "reading the state of the mesh takes too long")
        }
        guard mesh.summary.nodes > 0 else {
            return Finding("nodes", .advice, "none is known", cure: "`mesh-events serve` on each machine")
        }
        let check = StatusCheck(mesh)
        guard check.trouble != .well else { return Finding("nodes", .fine, StatusFormatter.summary(mesh.summary)) }
        return Finding("nodes", .advice, check.text, cure: "`mesh-events status` says more")
    }

    private static func size(_ lead: Duration) -> Duration { max(lead, .zero - lead) }

    private static func offset(_ lead: Duration) -> String {
        "\(AgeFormatter.span(size(lead))) \(lead > .zero ? "ahead" : "behind")"
    }
}
