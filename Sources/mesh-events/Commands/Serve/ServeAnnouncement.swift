import LocalNATSServer
import MeshAuth
import MeshEvents
import MeshEventsNATS
import NATSClient

/// Prints how the mesh of a node that has joined can be reached.
struct ServeAnnouncement {
    let server: LocalNATSServer?
    let access: ServeAccess?
    let transport: NATSTransport
    let persistent: PersistentEventBus

    func say() async {
        let node = persistent.node.debugDescription
        if let server {
            Diagnostics.say(
                "node \(node) listens on \(server.url) (nats-server \(server.version), events in \(server.storeDirectory))"
            )
            sayWhoReaches(server)
        } else {
            let address = await transport.connection.currentAddress?.description ?? "a server"
            Diagnostics.say("node \(node) is in the mesh of \(address)")
        }
        let differences = persistent.opening.differences
        guard !differences.isEmpty else { return }
        let list = differences.map(\.description).joined(separator: "; ")
        Diagnostics.say(
            "the stream \(persistent.configuration.streamName) exists with another configuration and is used unchanged: \(list)"
        )
    }

    private func sayWhoReaches(_ server: LocalNATSServer) {
        let host = server.configuration.host
        if LoopbackAddress.isOpen(host) {
            let who =
                access == nil
                ? "and every client that reaches it may read and emit everything; restrict that with --auth"
                : "and accepts only users of `mesh-events auth`"
            Diagnostics.say("it listens on \(host), for other machines too, \(who)")
        }
        if access != nil, !AuthDirectory.isHeld(byServer: server.version) {
            Diagnostics.say(
                "nats-server \(server.version) lets every user who may emit, a tool too, empty the stream; take 2.12 or newer"
            )
        }
        var variables: [String] = []
        if server.url != ConnectionOptions.defaultURL { variables.append("JB_NATS_URL=\(server.url)") }
        if let directory = access?.directory {
            let key = directory.user(.admin).map { directory.seedFile(of: $0.name) } ?? "YOUR-KEY.nk"
            variables += ["MESH_EVENTS_NKEY=\(key)", "MESH_EVENTS_TLS_CA=\(directory.authorityFile)"]
        }
        if !variables.isEmpty { Diagnostics.say("in other terminals: export \(variables.joined(separator: " "))") }
    }
}
