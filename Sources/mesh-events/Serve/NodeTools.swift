import Foundation
import Logging
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import MeshLogging
import MeshSupervision
import NATSClient
import ProcessGuard

/// Runs the tools of a node's manifest, and answers requests about them over the mesh.
final class NodeTools: Sendable {
    let supervisor: ToolSupervisor
    private let manifest: ManifestFile?
    private let manager: ServiceManager
    private let control: ToolControl
    private let logs: ToolLogs
    private let logServer: LogServer
    private let listing: Locked<ToolListing>
    /// How many tools the manifest has at the start.
    private let planned: Int
    private let hangups: AsyncStream<Void>
    private let hangup: AsyncStream<Void>.Continuation

    /// Creates the supervisor; no tool is installed yet.
    ///
    /// - Parameters:
    ///   - planned: the number of tools in the manifest. The node publishes it until they are installed.
    ///   - logs: keep the output of the tools.
    ///   - manager: is told how the tools are.
    ///   - installation: lets requests install, change and remove tools; `nil` refuses that.
    init(
        environment: ToolEnvironment,
        manifest: ManifestFile?,
        planned: Int,
        connection: NATSConnection,
        node: MeshNode,
        logs: ToolLogs,
        manager: ServiceManager,
        installation: ToolInstallation? = nil
    ) {
        self.manifest = manifest
        self.planned = planned
        self.manager = manager
        self.logs = logs
        listing = Locked(ToolListing(planned: planned))
        supervisor = ToolSupervisor(
            environment: environment,
            logger: ToolLog.logger,
            gpus: node.gpus,
            logs: logs,
            schedules: ToolScheduleRecord(
                file: StoreDirectory.schedules(node: node.name, ProcessInfo.processInfo.environment)
            )
        ) { event in
            node.emitter.emit(event)
            manager.changed()
        }
        logServer = LogServer(
            logs: logs,
            supervisor: supervisor,
            node: node.name,
            connection: connection,
            logger: ToolLog.logger
        )
        control = ToolControl(
            supervisor: supervisor,
            node: node.name,
            connection: connection,
            installation: installation,
            logger: ToolLog.logger
        )
        (hangups, hangup) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        node.setToolReport { [weak self] in
            guard let self else { return MeshNode.Tools([], planned: 0) }
            let tools = supervisor.tools
            let isListed = listing.withLock { $0.lists(tools.count) }
            return MeshNode.Tools(tools, planned: isListed ? nil : planned)
        }
    }

    /// Requests that the manifest is read again, and that the manager of services is told when it has been.
    func reload() { hangup.yield() }

    /// The states of the tools.
    var states: [ToolStatus.State] { supervisor.states }

    /// How many file descriptors connections have to leave free: for one start, for a connection to the mesh, and for each
    /// tool that does not run, and may be started.
    var keptDescriptors: Int {
        let isApplied = listing.withLock { $0.isApplied }
        let down = isApplied ? states.count { $0 != .running } : planned
        return DescriptorReserve.first + 4 + down * DescriptorReserve.running
    }

    /// Starts the tools; answers requests, and reads the manifest again on ``reload()``, until the task is cancelled.
    func run() async {
        await withTaskGroup { group in
            group.addTask {
                do throws(NATSError) {
                    try await self.control.run()
                } catch {
                    guard error.code != .cancelled, error.code != .closed else { return }
                    Diagnostics.say("`mesh-events tool` cannot reach this node: \(error.message)")
                }
            }
            group.addTask {
                do throws(NATSError) {
                    try await self.logServer.run()
                } catch {
                    guard error.code != .cancelled, error.code != .closed else { return }
                    Diagnostics.say("`mesh-events tool logs` cannot reach this node: \(error.message)")
                }
            }
            group.addTask { await self.followManifest() }
        }
    }

    private func followManifest() async {
        let follower = ManifestFollower(supervisor)
        // Without a manifest, tools can still be installed by requests.
        let first = await manifest?.present ?? ToolManifest()
        let change = follower.take(first)
        manager.ready()
        await change.apply()
        listing.withLock { $0.isApplied = true }
        logs.removeAll(but: Set(supervisor.tools.map(\.name)))
        await withDiscardingTaskGroup { group in
            for await _ in hangups {
                let change = await manifest?.reload(follower)
                manager.ready()
                // Not waited for: a tool may take long to stop, and the manifest may change again meanwhile.
                if let change { group.addTask { await change.apply() } }
            }
        }
    }

    /// Stops all tools, with the reason `shutdown`.
    func shutdown() async { await supervisor.shutdown() }
}

/// Decides whether a node lists its tools.
///
/// A node that never had one lists none: the list would say that tools of which others emit events are gone.
struct ToolListing {
    /// Whether the tools of the manifest are installed.
    var isApplied = false
    private var hasTools: Bool

    /// - Parameter planned: the number of tools in the manifest at the start.
    init(planned: Int) { hasTools = planned > 0 }

    /// Whether to list this number of tools.
    mutating func lists(_ count: Int) -> Bool {
        if count > 0 { hasTools = true }
        return isApplied && hasTools
    }
}

/// How the tools of a node log in.
enum ToolLogin: Sendable {
    /// As their node does; with a user and a password, or a token, when the node uses those.
    case asNode(passwordOrToken: [String]?)
    /// With the key in this file: they get nothing of the node's login. The user and the password are for tools in
    /// languages without NKeys.
    case ownKey(String, password: [String]?)

    /// The environment variables with which tools log in, besides the login in their server's address. Empty ones count
    /// as not set.
    ///
    /// - Parameter connection: the node's own connection.
    /// - Throws: `CommandFailure` when they cannot log in as the node's context says.
    func variables(_ connection: ConnectionOptions, _ environment: [String: String]) throws -> [String: String] {
        let isNode = if case .asNode = self { true } else { false }
        let context = try connection.contextVariables(environment, identity: isNode)
        var variables = context
        var files = [
            (LoginOptions.authorityVariable, connection.certificateAuthority),
            (WebSocketHeaderFile.variable, connection.webSocketHeaders),
        ]
        switch self {
        case .ownKey(let key, _):
            let nodes = LoginOptions.identityVariables + [SigningOptions.variable]
            for name in nodes where environment[name] != nil { variables[name] = "" }
            files.append((LoginOptions.keyVariable, key))
        case .asNode:
            if connection.creds != nil || connection.nkey != nil {
                // The node logs in with an option or the manifest, not with the environment's login.
                for name in [LoginOptions.credentialsVariable, LoginOptions.keyVariable]
                where environment[name] != nil { variables[name] = "" }
            }
            files += [
                (LoginOptions.credentialsVariable, connection.creds),
                (LoginOptions.keyVariable, connection.nkey),
                // A certificate identifies the node.
                (LoginOptions.certificateVariable, connection.certificate),
                (LoginOptions.certificateKeyVariable, connection.certificateKey),
            ]
        }
        for case (let name, let path?) in files { variables[name] = AbsolutePath.of(path) }
        // Tools have the environment's variables anyway; only options need to be passed on.
        let named = [
            connection.stream, connection.jetStreamDomain, connection.jetStreamPrefix, connection.inboxPrefix,
        ]
        if named.contains(where: { $0 != nil }), let place = try? connection.place(environment) {
            variables.merge(place.environment) { $1 }
        }
        // The options are in these already.
        for name in StreamPlace.variables.dropFirst() {
            if let value = context[name] { variables[name] = value }
        }
        return variables
    }

    /// The server's address for a tool.
    ///
    /// - Parameter servers: one address or several with commas.
    func url(at servers: String) -> String {
        switch self {
        case .asNode(let login): ToolURL.make(servers: servers, login: login)
        case .ownKey(_, let password): ToolURL.make(servers: servers, login: password, keepsLogin: false)
        }
    }
}

/// Makes the server's address for a tool: a single one, with the login.
enum ToolURL {
    /// The address.
    ///
    /// - Parameters:
    ///   - servers: one address or several with commas. The first is used: not every client understands a list, and a
    ///     server announces the others of its cluster.
    ///   - login: the text before the `@`, a user and a password or a token; an address with a login of its own keeps
    ///     it.
    ///   - keepsLogin: whether an address may keep its own login.
    static func make(servers: String, login: [String]?, keepsLogin: Bool = true) -> String {
        let first = servers.split(separator: ",").first.map(String.init) ?? servers
        var url = first.trimmingCharacters(in: .whitespaces)
        if !keepsLogin, let at = url.lastIndex(of: "@") {
            url.removeSubrange((url.range(of: "://")?.upperBound ?? url.startIndex)...at)
        }
        guard let login, !url.contains("@") else { return url }
        // Escapes no more than necessary: nats-py does not decode the user and the password. A comma would end the
        // address.
        let plain = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "-._~!$&'()*+;="))
        let user = login.map { $0.addingPercentEncoding(withAllowedCharacters: plain) ?? $0 }
        let (scheme, rest) =
            url.range(of: "://").map { (url[..<$0.upperBound], url[$0.upperBound...]) } ?? ("nats://", url[...])
        return "\(scheme)\(user.joined(separator: ":"))@\(rest)"
    }
}

/// Prints the output of a node's tools, and the library's log about tools and node, on standard error.
struct ToolLog: LogHandler {
    /// A logger for a node and its tools.
    static var logger: Logger { Logger(label: "mesh-events.serve") { _ in ToolLog() } }

    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var details = metadata.merging(event.metadata ?? [:]) { $1 }
        let tool = details.removeValue(forKey: LogKey.tool.rawValue).map { "\($0)" }
        if details.removeValue(forKey: LogKey.output.rawValue) != nil, let tool {
            Diagnostics.write("[\(SafeText.escaped(tool))] \(SafeText.escaped("\(event.message)"))\n")
            return
        }
        let subject = tool.map { "\($0): " } ?? ""
        let rest = details.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        Diagnostics.say("\(subject)\(event.message)\(rest.isEmpty ? "" : " (\(rest.dropFirst()))")")
    }
}
