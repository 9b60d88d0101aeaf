import ArgumentParser
import MeshAlerts
import MeshEvents
import MeshEventsNATS
import MeshNotifiers

/// `mesh-events alert run`.
struct AlertRunCommand: SignalHandlingCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Watch the mesh by the rules of a file, and tell its targets.",
        usage: "mesh-events alert run [--config FILE] [--page URL] [--node NAME] [--trust FILE] [--sign-key FILE]",
        discussion: """
            Any number of processes may run with the same file: one of them works, and another takes over when it ends or \
            is cut off. The state of the alerts is in the key-value bucket MESH_STATE, beside the stream, so that the next one \
            repeats nothing and forgets nothing. It goes on until Ctrl-C. SIGHUP has it read the file again; a \
            file with mistakes changes nothing.

            Each report is stored as alert.fired or alert.resolved, and a target that takes nothing for five minutes as \
            alert.undelivered; `mesh-events list 'alert.*'` shows them. A target is told again and again until it takes it; \
            what came meanwhile it gets at once.

            EXAMPLES
              mesh-events alert run --config alerts.yaml
              mesh-events alert run --config alerts.yaml --page https://mesh.example/

            With --sign-key what it emits and saves is signed. With --trust only events that their node has signed count, \
            and of what is saved only what a node has signed whose line in the list ends with `keeper`.
            """
    )

    @Option(
        help: ArgumentHelp(
            "How long after its last sign of life another process takes over, from 300ms. Default: 15s.",
            valueName: "duration"
        )
    )
    var lease: String?

    @Option(help: ArgumentHelp("The address of the mesh's page, for the links in notifications.", valueName: "url"))
    var page: String?

    @OptionGroup var file: AlertFileOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var signing: SigningOptions
    @OptionGroup var cloudEvents: CloudEventOptions
    @OptionGroup(title: "Signatures") var trust: TrustFileOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let verification = try trust.verification()
        let name = try node.name()
        let lease = try LeaseArgument.duration(lease)
        if let page, !AlertManifest.isPage(page) {
            throw CommandFailure(
                .usage,
                "--page is an address such as https://mesh.example/, not \(page.debugDescription)"
            )
        }
        let manifest = try file.manifest()
        guard !manifest.rules.isEmpty else {
            throw CommandFailure(.badData, "\(file.config) has no `alerts`; `mesh-events alert --help` has an example")
        }
        let stop = StopRequest()
        let hangups = AlertReload(file.config, manifest, page: page)
        Signals.install(stop) { hangups.reload() }
        _ = try await stop.race { try await run(name, verification, lease, hangups) }
        Diagnostics.clearInterrupt()
    }

    private func run(
        _ name: String,
        _ verification: SignatureVerification?,
        _ lease: Duration?,
        _ reload: AlertReload
    ) async throws {
        let (transport, store, bus) = try await connection.openStream(
            "mesh-events alert run \(name)",
            node: name,
            try signing.busConfiguration(cloudEvents)
        )
        let result: Result<Void, any Error> = await ConnectionReport(connection: transport.connection).during {
            await NotifierClient.with { client in
                let runner = reload.runner(bus, store, verification, client, lease: lease)
                do { return .success(try await runner.run()) } catch { return .failure(error) }
            }
        }
        await bus.close()
        await transport.close()
        try result.get()
    }
}
