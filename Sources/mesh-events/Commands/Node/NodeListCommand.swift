import ArgumentParser
import MeshEvents
import MeshEventsNATS
import MeshMonitoring

/// `mesh-events node list`.
struct NodeListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the nodes with their status, and since when it holds.",
        usage: "mesh-events node list [--trust FILE] [--json]",
        discussion: """
            Nodes that are unreachable or have failed tools come first, then those that are degraded or have tools \
            that are backing off, then the rest by name. SINCE is when a node joined, became unreachable or left; of a \
            silent node, when its last event arrived.

            With --json each node is a line: name, status, since, last_seen and maintenance_until; unknown values are null. `mesh-events \
            status --json` has all that is known.
            """
    )

    @Flag(help: "Print each node as a line of JSON.")
    var json = false

    @OptionGroup(title: "Signatures") var trust: TrustFileOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let verification = try trust.verification()
        let transport = try await connection.connect(name: "mesh-events node list")
        let mesh = try await connection.mesh(transport, verification)
        await transport.close()
        let terminal = Terminal.output
        let lines =
            json
            ? NodeListFormatter.json(mesh).map { terminal.safe(json: $0) }
            : NodeListFormatter.table(mesh).lines(isColored: terminal.usesColor(), width: terminal.width)
        var output = LineFile(LineOutput.standard())
        for line in lines { try output.write(line) }
        try output.flush()
    }
}

/// Writes the nodes of a mesh, sorted by trouble.
enum NodeListFormatter {
    /// The nodes with status and age, for people.
    static func table(_ mesh: MeshState) -> TextTable {
        var table = TextTable(["NODE", "STATUS", "SINCE", "TOOLS"], shrinking: [0])
        for (node, tools) in mesh.byTrouble {
            table.add([
                .name(SafeText.name(node.name), .cyan),
                .init(node.status.rawValue + (node.isInMaintenance ? ", in maintenance" : ""), Style(of: node.status)),
                .init(AgeFormatter.text(since(node), now: mesh.now)),
                .init(StatusFormatter.count(tools)),
            ])
        }
        return table
    }

    /// The nodes as lines of JSON.
    static func json(_ mesh: MeshState) -> [String] {
        mesh.byTrouble.map { node, _ in
            let since = since(node).map { JSONValue.string($0.description) } ?? .null
            let members: [(String, JSONValue)] = [
                ("name", .string(node.name)), ("status", .string(node.status.rawValue)), ("since", since),
                ("last_seen", .string(node.lastSeen.description)),
                ("maintenance_until", node.maintenanceUntil.map { .string($0.description) } ?? .null),
            ]
            return EventData(JSONObject(members)).json
        }
    }

    /// Since when it has its status, as far as is known.
    private static func since(_ node: MeshState.Node) -> Timestamp? {
        switch node.status {
        case .online, .degraded: node.joinedAt
        case .unreachable: node.unreachableSince
        case .silent: node.lastSeen
        case .left: node.leftAt
        }
    }
}
