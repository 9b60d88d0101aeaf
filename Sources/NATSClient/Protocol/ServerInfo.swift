import Foundation

/// What a server says of itself in its `INFO` line.
public struct ServerInfo: Sendable, Hashable, Decodable {
    /// The server's unique id.
    public let serverID: String
    /// The server's name.
    public let serverName: String?
    /// The server's version, e.g. `2.9.10`.
    public let version: String
    /// The address it listens on.
    public let host: String?
    /// The port it listens on.
    public let port: Int?
    /// Whether it understands message headers.
    public let supportsHeaders: Bool
    /// Whether JetStream is enabled on it.
    public let hasJetStream: Bool
    /// The largest payload it accepts, in bytes, headers included.
    public let maximumPayload: Int
    /// Whether it wants a login.
    public let requiresAuthentication: Bool
    /// Whether it speaks TLS only.
    public let requiresTLS: Bool
    /// Whether it can speak TLS.
    public let offersTLS: Bool
    /// The number it gave this connection.
    public let clientID: UInt64?
    /// The client's address as the server sees it.
    public let clientAddress: String?
    /// Addresses of the cluster's servers, `host:port`, without a scheme.
    public let clusterAddresses: [String]
    /// The name of its cluster.
    public let cluster: String?
    /// Whether it is about to shut down and wants its clients to move on.
    public let isLameDuck: Bool
    /// The challenge that an NKey or JWT login signs.
    let nonce: String?

    private enum CodingKeys: String, CodingKey {
        case serverID = "server_id"
        case serverName = "server_name"
        case version, host, port, nonce, cluster
        case supportsHeaders = "headers"
        case hasJetStream = "jetstream"
        case maximumPayload = "max_payload"
        case requiresAuthentication = "auth_required"
        case requiresTLS = "tls_required"
        case offersTLS = "tls_available"
        case clientID = "client_id"
        case clientAddress = "client_ip"
        case clusterAddresses = "connect_urls"
        case isLameDuck = "ldm"
    }

    /// Reads the members that are present. A missing one gets the protocol's default, so that no server is refused for
    /// it.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        serverID = try values.decodeIfPresent(String.self, forKey: .serverID) ?? ""
        serverName = try values.decodeIfPresent(String.self, forKey: .serverName)
        version = try values.decodeIfPresent(String.self, forKey: .version) ?? ""
        host = try values.decodeIfPresent(String.self, forKey: .host)
        port = try values.decodeIfPresent(Int.self, forKey: .port)
        supportsHeaders = try values.decodeIfPresent(Bool.self, forKey: .supportsHeaders) ?? false
        hasJetStream = try values.decodeIfPresent(Bool.self, forKey: .hasJetStream) ?? false
        maximumPayload = try values.decodeIfPresent(Int.self, forKey: .maximumPayload) ?? 1 << 20
        requiresAuthentication = try values.decodeIfPresent(Bool.self, forKey: .requiresAuthentication) ?? false
        requiresTLS = try values.decodeIfPresent(Bool.self, forKey: .requiresTLS) ?? false
        offersTLS = try values.decodeIfPresent(Bool.self, forKey: .offersTLS) ?? false
        clientID = try values.decodeIfPresent(UInt64.self, forKey: .clientID)
        clientAddress = try values.decodeIfPresent(String.self, forKey: .clientAddress)
        clusterAddresses = try values.decodeIfPresent([String].self, forKey: .clusterAddresses) ?? []
        cluster = try values.decodeIfPresent(String.self, forKey: .cluster)
        isLameDuck = try values.decodeIfPresent(Bool.self, forKey: .isLameDuck) ?? false
        nonce = try values.decodeIfPresent(String.self, forKey: .nonce)
    }

    /// Reads the JSON of an `INFO` line.
    static func parse(_ json: UnsafeRawBufferPointer) throws(NATSError) -> ServerInfo {
        do {
            return try JSONDecoder().decode(ServerInfo.self, from: Data(json))
        } catch {
            throw NATSError(
                .protocolViolation,
                "the server's INFO line cannot be read; is this really a NATS server?",
                underlying: error,
                isRetriable: true
            )
        }
    }
}
