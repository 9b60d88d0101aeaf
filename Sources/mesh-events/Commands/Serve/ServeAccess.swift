import LocalNATSServer
import MeshAuth
import MeshEvents
import MeshEventsNATS

/// The users, keys and certificates for the local server, from the directory of `serve --auth`.
struct ServeAccess: Sendable {
    let directory: AuthDirectory
    /// The key that the node itself logs in with.
    let nodeKey: String
    /// The key that its tools log in with.
    let toolKey: String

    /// The user and password for tools in languages without NKeys.
    let toolLogin: [String]
    /// The file with the authorities for such tools: the system's, and the mesh's own.
    let trustBundle: String

    /// The admin's key, which creates the stream; `nil` when it is not here: then an admin has to create the stream.
    let adminKey: String?

    /// Reads the directory. When no user may answer for this node yet, its first user with the role node may from now
    /// on. The tools' user gets a password when it has none.
    ///
    /// - Parameter systemAuthorities: the file with the authorities that this process trusts; `nil` for the system's.
    /// - Throws: `CommandFailure`, `MeshAuthError`.
    init(_ path: String, node name: String, systemAuthorities: String?) throws {
        var directory = try AuthDirectory.open(at: path)
        guard let node = directory.user(forNode: name) ?? directory.user(.node), let tool = directory.user(.tool) else {
            throw CommandFailure(
                .usage,
                "\(path) has no user with the role node, or none with the role tool; add one with `mesh-events auth add`"
            )
        }
        if !node.nodes.contains(name) {
            try directory.allow(node.name, nodes: [name])
            Diagnostics.say("the user \(node.name) of \(path) answers for node \(name.debugDescription) from now on")
        }
        nodeKey = directory.seedFile(of: node.name)
        toolKey = directory.seedFile(of: tool.name)
        if directory.password(of: tool.name) == nil {
            try directory.allow(tool.name, password: true)
            Diagnostics.say("the user \(tool.name) of \(path) has a password from now on, for tools that know no NKeys")
        }
        toolLogin = [tool.name, directory.password(of: tool.name) ?? ""]
        trustBundle = try directory.writeTrustBundle(systemFile: systemAuthorities)
        adminKey = directory.user(.admin).map { [directory] in directory.seedFile(of: $0.name) }
        self.directory = directory
    }

    /// The part of the local server's configuration with limits, users and certificates.
    var configuration: String { Self.configuration(directory) }

    private static func configuration(_ directory: AuthDirectory) -> String {
        AuthDirectory.serverLimits + "\n" + directory.serverAccess
    }

    /// Creates the stream on the local server if it does not exist, as the admin: nodes may not create it.
    func createStream(_ server: LocalNATSServer, _ connection: ConnectionOptions) async throws {
        guard let adminKey else { return }
        var connection = connection
        connection.nkey = adminKey
        let transport = try await connection.connect(to: server.url, name: "mesh-events serve")
        let (store, configuration) = (try connection.store(transport), try connection.persistence())
        let opening: Result<StoreOpening, MeshEventsError>
        do throws(MeshEventsError) {
            opening = .success(try await store.open(configuration))
        } catch {
            opening = .failure(error)
        }
        await transport.close()
        _ = try opening.get()
    }

    /// Reads the directory again, and gives its users to the server.
    func reload(_ server: LocalNATSServer) {
        do {
            let changed = try AuthDirectory.open(at: directory.path)
            try server.reconfigure(Self.configuration(changed))
            Diagnostics.say("\(directory.path) read again: \(changed.users.count) users may log in")
        } catch {
            Diagnostics.say("the users stay as they are: \(CommandFailure(describing: error).message)")
        }
    }
}
