/// Which servers of a cluster keep a stream.
public struct ClusterInformation: Sendable, Hashable, Codable {
    /// The cluster's name.
    public let name: String?
    /// The name of the server that decides the order of messages; `nil` while the servers elect one.
    public let leader: String?
    /// The other servers that keep it; `nil` when there are none.
    public let replicas: [Replica]?

    /// A server that keeps a copy.
    public struct Replica: Sendable, Hashable, Codable {
        /// The server's name.
        public let name: String
        /// Whether the replica has everything that the leader has.
        public let isCurrent: Bool
        /// Whether the leader cannot reach the replica.
        public let isOffline: Bool?

        private enum CodingKeys: String, CodingKey {
            case name
            case isCurrent = "current"
            case isOffline = "offline"
        }
    }
}
