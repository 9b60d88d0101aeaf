public import LocalNATSServer

/// Servers that form a cluster on loopback.
public struct LocalCluster: Sendable {
    /// The servers, by name: `n1`, `n2` …
    public let servers: [String: LocalNATSServer]

    /// Where clients connect.
    public var urls: [String] { servers.sorted { $0.key < $1.key }.map(\.value.url) }

    /// The servers but one.
    public func others(than name: String) -> [LocalNATSServer] {
        servers.filter { $0.key != name }.map(\.value)
    }
}

/// Runs `body` with a cluster of `size` servers, and stops them afterwards however `body` ends.
///
/// - Parameter advertises: whether the servers tell clients of each other. Otherwise a client knows only the addresses
///   that it was given, which may be those of proxies.
public func withCluster<Result>(
    _ binary: NATSServers.Binary,
    size: Int = 3,
    advertises: Bool = true,
    _ body: (LocalCluster) async throws -> Result
) async throws -> Result {
    let routes = try freePorts(size)
    var servers: [String: LocalNATSServer] = [:]
    func stopAll() async { for server in servers.values { await server.stop() } }
    do {
        for (index, port) in routes.enumerated() {
            let name = "n\(index + 1)"
            let others = routes.filter { $0 != port }.map { "\"nats://127.0.0.1:\($0)\"" }.joined(separator: ", ")
            let configuration = LocalNATSServer.Configuration(
                executable: binary.path,
                serverName: name,
                // Each message is on two of three servers before it is acknowledged; syncing three files for each
                // would make the disk the test.
                syncsEachWrite: false,
                extraConfiguration: """
                    cluster { name: test, listen: "127.0.0.1:\(port)", routes: [\(others)], no_advertise: \(!advertises) }
                    """,
                startTimeout: .seconds(30)
            )
            servers[name] = try await LocalNATSServer.start(configuration)
        }
        let result = try await body(LocalCluster(servers: servers))
        await stopAll()
        return result
    } catch {
        await stopAll()
        throw error
    }
}
