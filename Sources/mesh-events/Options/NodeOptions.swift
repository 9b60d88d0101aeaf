import ArgumentParser
import Foundation

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
        return Self.hostName
    }

    /// This machine's name from the kernel.
    static var hostName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
        let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return name.isEmpty ? "localhost" : name
    }
}
