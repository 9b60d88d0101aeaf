import LocalNATSServer
import MeshDashboard
import MeshEvents

extension NodeSession {
    /// The configuration of a node session.
    struct Plan: Sendable {
        let node: String
        let connection: ConnectionOptions
        /// The local server; `nil` when the connection names another.
        let localServer: LocalNATSServer.Configuration?
        /// Who may use the local server; `nil` for every client that reaches it.
        let access: ServeAccess?
        /// The servers of the manifest, when neither the option nor the environment names one.
        var servers: String?
        /// The manifest with the tools; `nil` for none.
        let manifest: ManifestFile?
        /// The number of tools in the manifest.
        let toolCount: Int
        /// The time between two health events of the node.
        let healthInterval: Duration
        /// Environment variables for every tool, except for the server's URL.
        let toolVariables: [String: String]
        /// Whether tools have a key of their own: then they do not get the node's login.
        let toolsHaveKey: Bool
        /// The user and password, or the token, with which tools log in; `nil` when they use neither.
        let toolLogin: [String]?
        /// The configuration of the node's bus, such as its signing key.
        let busConfiguration: EventBus.Configuration
        /// The dashboard's configuration; `nil` for none.
        let dashboard: Dashboard.Configuration?
        /// The check of signatures for the page and the printed events; `nil` for none.
        let verification: SignatureVerification?
        /// Whether events can be emitted over HTTP.
        let dashboardEmits: Bool
    }
}
