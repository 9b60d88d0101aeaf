import ArgumentParser
import MeshEvents
import MeshEventsNATS
import MeshMonitoring

/// `mesh-events keep`.
struct KeepCommand: SignalHandlingCommand {
    static let configuration = CommandConfiguration(
        commandName: "keep",
        abstract: "Keep the state of the mesh, and announce nodes that fall silent.",
        usage: "mesh-events keep [--node NAME] [--trust FILE] [--sign-key FILE]",
        discussion: """
            Saves what is known of each node in the key-value bucket MESH_STATE, beside the stream: `status` then knows \
            what the stream has dropped, and answers as fast with a million events as with ten. The entries are JSON; \
            `nats kv get MESH_STATE node.pi` shows one.

            It emits node.unreachable when no event of a node was stored for three of its health intervals, and \
            node.recovered when it is heard of again, each once. `mesh-events node maintenance` keeps it from announcing \
            a node for some time.

            Every `mesh-events serve` does this too, unless it is told not to; one of all works at a time, and another \
            takes over when it ends or is cut off. So this command is for meshes without one, as those of Go nodes \
            alone, or for a machine that is always on. It goes on until Ctrl-C. The stream must exist.

            EXAMPLES
              mesh-events keep
              mesh-events keep --nats nats://hub:4222 --node keeper-1

            With --sign-key what it emits and saves is signed. With --trust only events that their node has signed \
            count, and of what is saved only what a node has signed whose line in the list ends with `keeper`.
            """
    )

    @Option(
        help: ArgumentHelp(
            "How long after its last sign of life another keeper takes over, from 300ms. Default: 15s.",
            valueName: "duration"
        )
    )
    var lease: String?

    @OptionGroup var node: NodeOptions
    @OptionGroup var signing: SigningOptions
    @OptionGroup var cloudEvents: CloudEventOptions
    @OptionGroup(title: "Signatures") var trust: TrustFileOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let verification = try trust.verification()
        let name = try node.name()
        let lease = try LeaseArgument.duration(lease)
        let stop = StopRequest()
        Signals.install(stop)
        _ = try await stop.race { try await keep(name, verification, lease) }
        Diagnostics.clearInterrupt()
    }

    private func keep(_ name: String, _ verification: SignatureVerification?, _ lease: Duration?) async throws {
        let (transport, store, bus) = try await connection.openStream(
            "mesh-events keep \(name)",
            node: name,
            try signing.busConfiguration(cloudEvents)
        )
        let table = JetStreamStateStore(beside: store)
        let keeper = MeshKeeper(
            bus: bus,
            store: store,
            table: table,
            verification: verification,
            configuration: lease.map { MeshKeeper.Configuration(lease: $0) } ?? MeshKeeper.Configuration(),
            logger: .disabled
        ) { status in
            switch status {
            case .keeping: Diagnostics.say("keeps the state of the mesh in the bucket \(table.bucketName)")
            case .waiting: Diagnostics.say("another node keeps the state of the mesh; waits until none does")
            case .failing(let reason): Diagnostics.say("cannot keep the state of the mesh for now: \(reason)")
            }
        }
        if !keeper.isBelieved {
            Diagnostics.say(
                "readers with this trust list do not use what this node saves: give it a key with --sign-key, and write `keeper` at "
                    + "the end of its line in the list"
            )
        }
        let result: Result<Void, any Error> = await ConnectionReport(connection: transport.connection).during {
            do { return .success(try await keeper.run()) } catch { return .failure(error) }
        }
        await bus.close()
        await transport.close()
        try result.get()
    }
}
