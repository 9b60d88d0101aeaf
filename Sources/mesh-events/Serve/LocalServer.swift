import Foundation
import LocalNATSServer
import MeshAuth
import MeshEvents
import MeshEventsNATS

extension ServeCommand {
    /// The server of the mesh: the local server, unless the option, the manifest, the environment or a context that one of
    /// them names has another.
    func server(
        _ environment: [String: String],
        manifest: [String]?,
        access: ServeAccess?
    ) throws -> NodeSession.Plan.Server {
        let named =
            try manifest.map { ($0.joined(separator: ","), "the manifest") } ?? connection.nodeServers(environment)
        if let (servers, source) = named {
            guard port == nil, storeDirectory == nil, listen == nil, access == nil else {
                throw CommandFailure(
                    .usage,
                    "--port, --store-dir, --listen and --auth are about a local server, but \(source) names another; "
                        + "leave one of them out"
                )
            }
            return .named(servers)
        }
        let port = port ?? 4222
        guard (0...65_535).contains(port) else {
            throw CommandFailure(.usage, "--port must be between 0 and 65535, not \(port)")
        }
        if let storeDirectory, storeDirectory.isEmpty {
            throw CommandFailure(.usage, "--store-dir must not be empty")
        }
        let listen = listen ?? "127.0.0.1"
        try check(listen, access)
        let configuration = LocalNATSServer.Configuration(
            host: listen,
            port: port == 0 ? nil : port,
            storeDirectory: storeDirectory ?? (port == 0 ? nil : StoreDirectory.standard(port: port, environment)),
            extraConfiguration: access?.configuration ?? "",
            maximumAcknowledgementsPending: access == nil ? nil : AuthDirectory.maximumAcknowledgementsPending,
            requiresTLS: access != nil
        )
        return .local(configuration, access: access)
    }

    private func check(_ listen: String, _ access: ServeAccess?) throws {
        let isAddress =
            !listen.isEmpty
            && listen.unicodeScalars.allSatisfy {
                $0.isASCII && ($0.properties.isAlphabetic || "0123456789.:-".unicodeScalars.contains($0))
            }
        guard isAddress else {
            throw CommandFailure(.usage, "--listen takes an address of this machine, such as 0.0.0.0, without a port")
        }
        guard let access, !["0.0.0.0", "::"].contains(listen), !access.directory.hosts.contains(listen) else { return }
        throw CommandFailure(
            .usage,
            "the server's certificate is not valid for \(listen); add it with "
                + "`mesh-events auth renew \(ShellWord.quoted(access.directory.path)) --host \(listen)`"
        )
    }
}

/// The default directory for a local server's events, and for what a node remembers.
enum StoreDirectory {
    /// The directory for a port. Each port has its own, because two servers must not share one.
    static func standard(port: Int, _ environment: [String: String]) -> String {
        "\(root(environment))/\(port)"
    }

    /// The file that remembers when a node's tools with schedules were last due.
    static func schedules(node: String, _ environment: [String: String]) -> String {
        let name = node.utf8.map { byte in
            let scalar = Unicode.Scalar(byte)
            let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
            return isPlain || scalar == "-" ? String(scalar) : "=" + String(byte, radix: 16)
        }
        // A file name has at most 255 bytes.
        return "\(root(environment))/schedules/\(name.joined().prefix(200)).json"
    }

    private static func root(_ environment: [String: String]) -> String {
        let home = environment["HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? NSHomeDirectory()
        let data: String
        if let named = environment["XDG_DATA_HOME"], named.hasPrefix("/") {
            data = named
        } else {
            data = home + "/.local/share"
        }
        return "\(data)/mesh-events"
    }
}

/// The directory with the users of a local server, and what names it.
struct ServeUsers: Sendable {
    let directory: String
    /// What names it, for messages.
    let source: String
}

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
    private let adminKey: String?

    /// Reads the directory. When no user may answer for this node yet, its first user with the role node may from now
    /// on. The tools' user gets a password when it has none.
    ///
    /// - Parameter systemAuthorities: the file with the authorities that this process trusts; `nil` for the system's.
    /// - Throws: `CommandFailure`, `MeshAuthError`.
    init(_ path: String, node name: String, systemAuthorities: String?) throws {
        var directory = try AuthDirectory.open(at: path)
        let (node, tool) = try Self.users(of: directory, node: name)
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

    /// The users that a node and its tools log in as.
    ///
    /// - Throws: `CommandFailure`, usage, when one of them is missing.
    static func users(of directory: AuthDirectory, node name: String) throws -> (node: MeshUser, tool: MeshUser) {
        guard let node = directory.user(forNode: name) ?? directory.user(.node), let tool = directory.user(.tool) else {
            throw CommandFailure(
                .usage,
                "\(directory.path) has no user with the role node, or none with the role tool; add one with "
                    + "`mesh-events auth add`"
            )
        }
        return (node, tool)
    }

    /// The part of the local server's configuration with limits, users and certificates.
    var configuration: String { Self.configuration(directory) }

    private static func configuration(_ directory: AuthDirectory) -> String {
        AuthDirectory.serverLimits + "\n" + directory.serverAccess
    }

    /// Creates on the local server what does not exist, as the admin, because nodes may not: the stream, its archive,
    /// and the bucket for the state of the mesh.
    func createStream(
        _ server: LocalNATSServer,
        _ connection: ConnectionOptions,
        archives: Bool
    ) async throws {
        guard let adminKey else { return }
        var connection = connection
        connection.nkey = adminKey
        let transport = try await connection.connect(to: server.url, name: "mesh-events serve")
        let (store, configuration) = (
            try connection.store(transport), try connection.persistence(archive: archives ? .always : nil)
        )
        let creation: Result<Void, MeshEventsError>
        do throws(MeshEventsError) {
            _ = try await store.open(configuration)
            creation = .success(try await JetStreamStateStore(beside: store).create())
        } catch {
            creation = .failure(error)
        }
        await transport.close()
        try creation.get()
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

/// A node's local server, and who may use it.
struct NodeServer: Sendable {
    let process: LocalNATSServer
    /// `nil` for every client that reaches the server.
    let access: ServeAccess?

    /// Reads the users again, if there are any.
    func reload() { access?.reload(process) }
}

/// Restarts a local server when it ends unexpectedly, and gives up when that happens too often.
struct LocalServerSupervision {
    /// At this number of ends within a minute it gives up.
    private static let maximumEnds = 5

    let server: LocalNATSServer
    let stop: StopRequest

    /// Supervises until the server is stopped on purpose or the task is cancelled.
    func run() async {
        var ends: [ContinuousClock.Instant] = []
        while let termination = try? await server.termination, !termination.wasRequested, !Task.isCancelled {
            ends = ends.filter { .now - $0 < .seconds(60) } + [.now]
            guard ends.count < Self.maximumEnds else {
                let reason = "nats-server ended \(ends.count) times within a minute: \(termination)"
                stop.stop(.failed(CommandFailure(.unavailable, reason)))
                return
            }
            Diagnostics.say("nats-server ended unexpectedly (it \(termination.reason)); starting it again")
            do {
                try await server.restart()
            } catch {
                guard !Task.isCancelled else { return }
                stop.stop(.failed(CommandFailure(describing: error).prefixed("nats-server cannot be started again: ")))
                return
            }
        }
    }
}
