import LocalNATSServer
import MeshAuth

extension ServeCommand {
    /// The configuration of the local server; `nil` when another server is named.
    func localServer(
        _ environment: [String: String],
        manifest: [String]?,
        access: ServeAccess?
    ) throws -> LocalNATSServer.Configuration? {
        if manifest != nil || connection.namedServers(environment) != nil {
            guard port == nil, storeDirectory == nil, listen == nil, access == nil else {
                let source =
                    connection.servers != nil ? "--nats" : manifest != nil ? "the manifest" : "JB_NATS_URL"
                throw CommandFailure(
                    .usage,
                    "--port, --store-dir, --listen and --auth are about a local server, but \(source) names another; "
                        + "leave one of them out"
                )
            }
            return nil
        }
        let port = port ?? 4222
        guard (0...65_535).contains(port) else {
            throw CommandFailure(.usage, "--port must be between 0 and 65535, not \(port)")
        }
        if let storeDirectory, storeDirectory.isEmpty {
            throw CommandFailure(.usage, "--store-dir must not be empty")
        }
        let listen = listen ?? "127.0.0.1"
        try check(listen, access)
        return LocalNATSServer.Configuration(
            host: listen,
            port: port == 0 ? nil : port,
            storeDirectory: storeDirectory ?? (port == 0 ? nil : StoreDirectory.standard(port: port, environment)),
            extraConfiguration: access?.configuration ?? "",
            maximumAcknowledgementsPending: access == nil ? nil : AuthDirectory.maximumAcknowledgementsPending,
            requiresTLS: access != nil
        )
    }

    private func check(_ listen: String, _ access: ServeAccess?) throws {
        let isAddress =
            !listen.isEmpty
            && listen.unicodeScalars.allSatisfy {
                $0.isASCII && ($0.properties.isAlphabetic || "0123456789.:-".unicodeScalars.contains($0))
            }
        guard isAddress else {
            throw CommandFailure(.usage, "--listen takes an address of this machine, such as 0.0.0.0, without a port")
        }
        guard let access, !["0.0.0.0", "::"].contains(listen), !access.directory.hosts.contains(listen) else { return }
        throw CommandFailure(
            .usage,
            "the server's certificate is not valid for \(listen); add it with "
                + "`mesh-events auth renew \(access.directory.path) --host \(listen)`"
        )
    }
}
