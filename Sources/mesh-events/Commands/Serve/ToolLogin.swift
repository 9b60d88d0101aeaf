import Foundation
import MeshEventsNATS

/// The environment variables with which tools log in, besides the login in their server's address.
struct ToolLogin {
    /// The variables that name a login or the node's key; a tool with its own key must not inherit those of its node.
    private static let logins = [
        "JB_NATS_CREDS", "MESH_EVENTS_NKEY", "MESH_EVENTS_TOKEN", "MESH_EVENTS_PASSWORD", "MESH_EVENTS_TLS_CERT",
        "MESH_EVENTS_TLS_KEY", SigningOptions.variable,
    ]

    /// The node's own connection.
    let connection: ConnectionOptions
    /// A key for the tools; `nil` when they log in as their node.
    let key: String?

    /// The variables to set; empty ones count as not set.
    func variables(_ environment: [String: String]) -> [String: String] {
        var variables: [String: String] = [:]
        if let key {
            for name in Self.logins where environment[name] != nil { variables[name] = "" }
            variables["MESH_EVENTS_NKEY"] = AbsolutePath.of(key)
        } else if connection.creds != nil || connection.nkey != nil {
            // The node logs in with an option or the manifest, not with the environment's login.
            for name in Self.logins.prefix(2) where environment[name] != nil { variables[name] = "" }
            if let path = connection.creds { variables["JB_NATS_CREDS"] = AbsolutePath.of(path) }
            if let path = connection.nkey { variables["MESH_EVENTS_NKEY"] = AbsolutePath.of(path) }
        }
        let files = [
            ("MESH_EVENTS_TLS_CA", connection.certificateAuthority),
            ("MESH_EVENTS_WS_HEADERS", connection.webSocketHeaders),
            // A certificate identifies the node.
            ("MESH_EVENTS_TLS_CERT", key == nil ? connection.certificate : nil),
            ("MESH_EVENTS_TLS_KEY", key == nil ? connection.certificateKey : nil),
        ]
        for case (let name, let path?) in files { variables[name] = AbsolutePath.of(path) }
        // Tools have the environment's variables anyway; only options need to be passed on.
        let named = [
            connection.stream, connection.jetStreamDomain, connection.jetStreamPrefix, connection.inboxPrefix,
        ]
        if named.contains(where: { $0 != nil }), let place = try? connection.place(environment) {
            variables.merge(place.environment) { $1 }
        }
        return variables
    }
}
