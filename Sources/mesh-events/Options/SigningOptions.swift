import ArgumentParser
import Foundation
import MeshEvents
import MeshEventsInterop
import MeshEventsSigning

/// The option for the key with which a node signs its events.
struct SigningOptions: ParsableArguments {
    /// The environment variable that names the key, so that the tools of a node sign as the node does.
    static let variable = "MESH_EVENTS_SIGN_KEY"

    @Option(
        name: .customLong("sign-key"),
        help: ArgumentHelp(
            "Sign events with the NKey seed in this file (`mesh-events key new`). Default: $\(variable).",
            valueName: "file"
        )
    )
    var path: String?

    /// The file with the key; `nil` for none.
    func file(_ environment: [String: String] = ProcessInfo.processInfo.environment) -> String? {
        path ?? environment[Self.variable].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The configuration of a bus that signs with this key, and sends CloudEvents when they are wanted.
    func busConfiguration(_ cloudEvents: CloudEventOptions) throws(MeshEventsError) -> EventBus.Configuration {
        var configuration = EventBus.Configuration()
        configuration.cloudEvents = cloudEvents.isWanted
        if let file = file() { configuration.signer = try NodeSigningKey(file: file) }
        return configuration
    }
}
