import ArgumentParser
import Foundation
import LocalNATSServer
import MeshEvents
import MeshLifecycle
import Synchronization

/// `mesh-events serve`.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run a node of the mesh, with a server of its own unless one is named.",
        usage: "mesh-events serve [--config FILE] [--port N] [--store-dir DIR] [--for DURATION] [--node NAME] [--json]",
        discussion: """
            Opens the stream that keeps events, announces the node (node.joined), says how it is every 10 seconds \
            (node.health), runs its tools, shows every event as it comes, and leaves (node.left) on Ctrl-C or SIGTERM; a \
            second Ctrl-C ends it at once.

            TOOLS: --config names a manifest; mesh.yaml of the present directory is taken when it is there. Each tool \
            is a program that is started, watched, and started again when it ends unexpectedly; what it prints appears \
            on standard error behind its name. `mesh-events tool` starts and stops tools from elsewhere. SIGHUP has the \
            manifest read again: tools are added, changed and removed as it says now, the others run on. No tool \
            outlives the node, however that ends.

              node: atelier
              nats: nats://127.0.0.1:4222   # left out: a server of its own
              health: {interval: 10s}
              tools:
                - name: whisper
                  version: "1.4.0"
                  command: [python3, whisper.py, --port, 8080]
                  directory: tools/whisper  # relative to the manifest
                  env: {HF_TOKEN: "${HF_TOKEN}"}
                  config: {model: base}     # JB_TOOL_CONFIG, and tool.configured without its secrets
                  secrets: [licence]        # more keys to keep secret
                  restart: on-failure       # or always, never
                  autostart: true
                  grace: 10s                # from SIGTERM to SIGKILL

            A tool finds the mesh in its environment (JB_NATS_URL, JB_NODE_NAME, JB_TOOL_NAME, JB_TOOL_CONFIG), so that \
            `mesh-events emit user.done file=a.wav` works in it as it is.

            Without --nats and JB_NATS_URL it runs a nats-server on this machine, which others on this machine reach \
            under the URL that is printed; it needs the nats-server program (apt-get install nats-server, or brew \
            install nats-server). When that server ends unexpectedly it is started again. With a URL it joins that \
            server's mesh instead. To let a mesh grow beyond one machine, run NATS there and name it.

            EXAMPLES
              mesh-events serve
              mesh-events serve --node pi --port 4333 --store-dir /var/lib/mesh
              mesh-events serve --config lab.yaml
              mesh-events serve --for 15s --json
              mesh-events serve --nats nats://broker.local:4222 --creds ~/pi.creds
            """
    )

    @Option(
        name: .customLong("config"),
        help: ArgumentHelp(
            "What the node is and which tools it runs, YAML. Default: \(ManifestFile.standardPath), when it is there.",
            valueName: "file"
        )
    )
    var manifest: String?

    @Option(help: ArgumentHelp("The local server's port; 0 takes a free one. Default: 4222.", valueName: "n"))
    var port: Int?

    @Option(
        name: .customLong("store-dir"),
        help: ArgumentHelp(
            "Where the local server keeps events. Default: a directory for the port under $XDG_DATA_HOME, else under "
                + "~/.local/share/mesh-events; with --port 0 a temporary one.",
            valueName: "dir"
        )
    )
    var storeDirectory: String?

    @Option(
        name: .customLong("for"),
        help: ArgumentHelp("Leave after this time: 15s, 10m, 2h30m.", valueName: "duration")
    )
    var duration: String?

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let duration = try DurationText.option("--for", duration)
        let plan = try await plan(environment)
        let stop = StopRequest()
        let session = Mutex<NodeSession?>(nil)
        let onHangup: @Sendable () -> Void = { session.withLock { $0 }?.reload() }
        Signals.install(stop, onHangup: plan.manifest == nil ? nil : onHangup)
        OutputWatch.install(stop)
        guard let node = try await stop.race({ try await NodeSession.start(plan) }) else { return }
        session.withLock { $0 = node }
        if let duration {
            Task {
                try await Task.sleep(for: duration)
                stop.stop(.timeUp)
            }
        }
        try await node.run(stop, EventPrinter(output, stop: stop))
    }

    /// What the options, the manifest and the environment amount to; the first of these that says something counts.
    private func plan(_ environment: [String: String]) async throws -> NodeSession.Plan {
        let file = try manifestFile()
        let manifest = await file?.present
        var connection = connection
        if !connection.namesLogin { connection.creds = manifest?.credentials }
        let servers = connection.servers == nil ? manifest.flatMap { $0.servers.isEmpty ? nil : $0.servers } : nil
        var variables: [String: String] = [:]
        if let path = connection.creds { variables["JB_NATS_CREDS"] = AbsolutePath.of(path) }
        // Where a tool finds `mesh-events` when it is not installed.
        if let executable = Bundle.main.executablePath, let slash = executable.lastIndex(of: "/") {
            variables["PATH"] = "\(environment["PATH"] ?? "/usr/bin:/bin"):\(executable[..<slash])"
        }
        return NodeSession.Plan(
            node: try node.node == nil ? manifest?.node ?? node.name(environment) : node.name(environment),
            connection: connection,
            localServer: try localServer(environment, manifest: servers),
            servers: servers?.joined(separator: ","),
            manifest: file,
            toolCount: manifest?.tools.count ?? 0,
            healthInterval: manifest?.healthInterval ?? .seconds(10),
            toolVariables: variables,
            toolLogin: connection.passwordOrToken(environment)
        )
    }

    private func manifestFile() throws -> ManifestFile? {
        if let manifest { return try ManifestFile(path: manifest) }
        guard FileManager.default.fileExists(atPath: ManifestFile.standardPath) else { return nil }
        Diagnostics.say("the tools are those of \(ManifestFile.standardPath)")
        return try ManifestFile(path: ManifestFile.standardPath)
    }

    /// How to run the local server; `nil` when another one is named.
    private func localServer(
        _ environment: [String: String],
        manifest: [String]?
    ) throws -> LocalNATSServer.Configuration? {
        if manifest != nil || connection.namedServers(environment) != nil {
            guard port == nil, storeDirectory == nil else {
                let source =
                    connection.servers != nil ? "--nats" : manifest != nil ? "the manifest" : "JB_NATS_URL"
                throw CommandFailure(
                    .usage,
                    "--port and --store-dir are about a local server, but \(source) names another; leave one of them out"
                )
            }
            return nil
        }
        let port = port ?? 4222
        guard (0...65_535).contains(port) else {
            throw CommandFailure(.usage, "--port must be between 0 and 65535, not \(port)")
        }
        if let storeDirectory, storeDirectory.isEmpty {
            throw CommandFailure(.usage, "--store-dir must not be empty")
        }
        return LocalNATSServer.Configuration(
            port: port == 0 ? nil : port,
            storeDirectory: storeDirectory ?? (port == 0 ? nil : StoreDirectory.standard(port: port, environment))
        )
    }
}
