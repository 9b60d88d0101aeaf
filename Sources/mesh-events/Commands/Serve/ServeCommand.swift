import ArgumentParser
import Foundation
import LocalNATSServer
import MeshEvents

/// `mesh-events serve`.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run a node of the mesh, with a server of its own unless one is named.",
        usage: "mesh-events serve [--port N] [--store-dir DIR] [--for DURATION] [--node NAME] [--json]",
        discussion: """
            Opens the stream that keeps events, announces the node (node.joined), shows every event as it comes, and \
            leaves (node.left) on Ctrl-C, SIGTERM or SIGHUP; a second Ctrl-C ends it at once.

            Without --nats and JB_NATS_URL it runs a nats-server on this machine, which others on this machine reach \
            under the URL that is printed; it needs the nats-server program (apt-get install nats-server, or brew \
            install nats-server). When that server ends unexpectedly it is started again. With a URL it joins that \
            server's mesh instead. To let a mesh grow beyond one machine, run NATS there and name it.

            EXAMPLES
              mesh-events serve
              mesh-events serve --node pi --port 4333 --store-dir /var/lib/mesh
              mesh-events serve --for 15s --json
              mesh-events serve --nats nats://broker.local:4222 --creds ~/pi.creds
            """
    )

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
        let duration = try duration.map { text in
            guard let duration = DurationText.parse(text), duration > .zero else {
                throw CommandFailure(.usage, "--for is a time like 15s, 10m or 2h30m, not \(text.debugDescription)")
            }
            return duration
        }
        let plan = NodeSession.Plan(
            node: try node.name(environment),
            connection: connection,
            localServer: try localServer(environment)
        )
        let stop = StopRequest()
        Signals.install(stop)
        OutputWatch.install(stop)
        guard let session = try await stop.race({ try await NodeSession.start(plan) }) else { return }
        if let duration {
            Task {
                try await Task.sleep(for: duration)
                stop.stop(.timeUp)
            }
        }
        try await session.run(stop, EventPrinter(output, stop: stop))
    }

    /// How to run the local server; `nil` when another one is named.
    private func localServer(_ environment: [String: String]) throws -> LocalNATSServer.Configuration? {
        if connection.namedServers(environment) != nil {
            guard port == nil, storeDirectory == nil else {
                let source = connection.servers == nil ? "JB_NATS_URL" : "--nats"
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
