import ArgumentParser
import Foundation
import MeshEvents
import MeshEventsInterop
import MeshEventsSigning
import MeshSupervision

/// The option for the name of the node that emits events.
struct NodeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "This node's name in the mesh. Default: $JB_NODE_NAME, else the host name.",
            valueName: "name"
        )
    )
    var node: String?

    /// The name to use.
    func name(_ environment: [String: String] = ProcessInfo.processInfo.environment) throws -> String {
        if let node {
            guard !node.isEmpty else { throw CommandFailure(.usage, "--node must not be empty") }
            return node
        }
        if let node = environment["JB_NODE_NAME"], !node.isEmpty { return node }
        return NodeCapabilities.host
    }
}

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
    func busConfiguration(_ cloudEvents: CloudEventOptions? = nil) throws(MeshEventsError) -> EventBus.Configuration {
        var configuration = EventBus.Configuration()
        configuration.cloudEvents = cloudEvents?.isWanted ?? false
        if let file = file() { configuration.signer = try NodeSigningKey(file: file) }
        return configuration
    }
}

/// Whether emitted events have the attributes of CloudEvents too.
struct CloudEventOptions: ParsableArguments {
    @Flag(
        name: .customLong("cloudevents"),
        help: "Send the attributes of a CloudEvent beside each event, as header fields (ce-id, ce-source, ...)."
    )
    var isWanted = false
}
