import LocalNATSServer
import MeshDashboard
import MeshEvents

extension NodeSession {
    /// What to run.
    struct Plan: Sendable {
        let node: String
        let connection: ConnectionOptions
        /// The local server; `nil` when the connection names another.
        let localServer: LocalNATSServer.Configuration?
        /// Who may use the local server; `nil` for everybody who reaches it.
        let access: ServeAccess?
        /// The servers that the manifest names, when nothing else names one.
        var servers: String?
        /// What tools there are; `nil` for none.
        let manifest: ManifestFile?
        /// How many tools that has.
        let toolCount: Int
        /// How often the node says how it is.
        let healthInterval: Duration
        /// What every tool finds in its environment, but for the server.
        let toolVariables: [String: String]
        /// Whether tools have a key of their own: then no login of the node's is passed on.
        let toolsHaveKey: Bool
        /// The user and password, or the token, with which tools log in; `nil` for none, or another way.
        let toolLogin: [String]?
        /// What the node's bus does beyond the usual: it may sign.
        let busConfiguration: EventBus.Configuration
        /// The page to show the mesh on; `nil` for none.
        let dashboard: Dashboard.Configuration?
        /// How the page, and what is shown here, look at signatures; `nil` for not at all.
        let verification: SignatureVerification?
        /// Whether events can be emitted over HTTP.
        let dashboardEmits: Bool
    }
}
