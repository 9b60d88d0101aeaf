import MeshEvents

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What every tool of a node finds in its environment.
///
/// A tool inherits its supervisor's environment; then come `JB_NATS_URL`, `JB_NODE_NAME`, `JB_TOOL_NAME` and
/// `JB_TOOL_CONFIG`, then ``extra``, then the variables of its own specification. Later ones win.
public struct ToolEnvironment: Sendable, CustomStringConvertible {
    /// The server's URL, credentials included (`JB_NATS_URL`).
    public var url: String
    /// The node's name (`JB_NODE_NAME`).
    public var node: String
    /// More variables for every tool, for example `JB_NATS_CREDS`.
    public var extra: [String: String]
    /// The environment that tools inherit.
    public var inherited: [String: String]

    /// Creates an environment.
    ///
    /// - Parameters:
    ///   - url: the server's address, for `JB_NATS_URL`.
    ///   - node: the node's name, for `JB_NODE_NAME`.
    ///   - extra: more variables for every tool.
    ///   - inherited: the environment that tools inherit; `nil` for this process's.
    public init(
        url: String,
        node: String,
        extra: [String: String] = [:],
        inherited: [String: String]? = nil
    ) {
        self.url = url
        self.node = node
        self.extra = extra
        self.inherited = inherited ?? ProcessInfo.processInfo.environment
    }

    /// All variables of a tool.
    public func variables(for tool: ToolSpecification) -> [String: String] {
        var variables = inherited
        variables["JB_NATS_URL"] = url
        variables["JB_NODE_NAME"] = node
        variables["JB_TOOL_NAME"] = tool.name
        variables["JB_TOOL_CONFIG"] = tool.configuration.isNull ? "{}" : tool.configuration.json
        variables.merge(extra) { $1 }
        variables.merge(tool.environment) { $1 }
        return variables
    }

    /// The node and the server; no secret.
    public var description: String { "node \(node) at \(Redaction().redact(url))" }
}
