import ArgumentParser

/// `mesh-events node`.
struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node",
        abstract: "List the nodes of the mesh, forget one, or announce its maintenance.",
        discussion: """
            `forget` and `maintenance` emit an event about the node, node.forgotten and node.maintenance, and return \
            when it is stored. Readers of the mesh take it in; the node itself is not asked.

            EXAMPLES
              mesh-events node list
              mesh-events node maintenance pi --for 2h --reason 'new disk'
              mesh-events node maintenance pi --end
              mesh-events node forget old-pi

            EXIT CODES: as for all commands; 69 also when nothing is known of the node.
            """,
        subcommands: [NodeListCommand.self, NodeForgetCommand.self, NodeMaintenanceCommand.self]
    )
}
