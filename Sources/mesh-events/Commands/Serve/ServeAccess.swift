import LocalNATSServer
import MeshAuth

/// Who may use the local server, by the directory of `serve --auth`.
struct ServeAccess: Sendable {
    let directory: AuthDirectory
    /// The key that the node itself logs in with.
    let nodeKey: String
    /// The key that its tools log in with.
    let toolKey: String

    /// Reads the directory.
    ///
    /// - Throws: `CommandFailure`, `MeshAuthError`.
    init(_ path: String) throws {
        directory = try AuthDirectory.open(at: path)
        guard let node = directory.user(.node), let tool = directory.user(.tool) else {
            throw CommandFailure(
                .usage,
                "\(path) has no user with the role node, or none with the role tool; add one with `mesh-events auth add`"
            )
        }
        nodeKey = directory.seedFile(of: node.name)
        toolKey = directory.seedFile(of: tool.name)
    }

    /// Has the server let in those whom the directory names now.
    func reload(_ server: LocalNATSServer) {
        do {
            let changed = try AuthDirectory.open(at: directory.path)
            try server.reconfigure(changed.serverAccess)
            Diagnostics.say("\(directory.path) read again: \(changed.users.count) users may log in")
        } catch {
            Diagnostics.say("the users stay as they are: \(CommandFailure(describing: error).message)")
        }
    }
}
