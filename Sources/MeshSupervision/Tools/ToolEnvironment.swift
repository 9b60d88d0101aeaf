import MeshEvents
import MeshEventsNATS

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The environment variables of a node's tools.
///
/// A tool gets, in this order, and later values win: `PYTHONUNBUFFERED=1`, so that what Python prints comes at once and not
/// when there is a buffer full of it; ``inherited``, by default the ``standardNames`` and the login
/// variables of this process; the variables that its specification inherits by name; `JB_NATS_URL`, `JB_NODE_NAME`,
/// `JB_TOOL_NAME` and `JB_TOOL_CONFIG`; ``extra``; the variables of its specification.
public struct ToolEnvironment: Sendable, CustomStringConvertible {
    /// The variables of this process's environment that every tool gets: the search path, the home and temporary
    /// directories, the time zone and the language. `LC_` stands for all names that begin with it.
    public static let standardNames = ["PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_"]

    /// Keeps Python from holding back what it prints to no terminal. It changes nothing else, and others do not know it.
    private static let unbuffered = ["PYTHONUNBUFFERED": "1"]

    /// The variables that let a tool find the mesh and log in as its node does; see the wire contract.
    static let meshNames =
        LoginOptions.variables + [WebSocketHeaderFile.variable, "MESH_EVENTS_SIGN_KEY"] + StreamPlace.variables

    /// The server's URL, credentials included (`JB_NATS_URL`).
    public var url: String
    /// The node's name (`JB_NODE_NAME`).
    public var node: String
    /// More variables for every tool, for example `JB_NATS_CREDS`.
    public var extra: [String: String]
    /// The environment that every tool gets.
    public var inherited: [String: String]
    /// The variables that a tool gets when its specification names them.
    public var available: [String: String]

    /// Creates an environment.
    ///
    /// - Parameters:
    ///   - url: the server's address, for `JB_NATS_URL`.
    ///   - node: the node's name, for `JB_NODE_NAME`.
    ///   - extra: more variables for every tool.
    ///   - inherited: the environment that every tool gets; `nil` for this process's ``standardNames`` and login
    ///     variables.
    ///   - available: the variables that a tool gets when its specification names them; `nil` for this process's.
    public init(
        url: String,
        node: String,
        extra: [String: String] = [:],
        inherited: [String: String]? = nil,
        available: [String: String]? = nil
    ) {
        self.url = url
        self.node = node
        self.extra = extra
        let own = ProcessInfo.processInfo.environment
        self.inherited = inherited ?? own.filter { Self.isForAll($0.key) }
        self.available = available ?? own
    }

    private static func isForAll(_ name: String) -> Bool {
        standardNames.contains(name) || meshNames.contains(name) || name.hasPrefix("LC_")
    }

    /// All variables of a tool.
    public func variables(for tool: ToolSpecification) -> [String: String] {
        var variables = Self.unbuffered.merging(inherited) { $1 }
        for name in tool.inherit { variables[name] = available[name] ?? variables[name] }
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
