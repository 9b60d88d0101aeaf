/// What the server says about a consumer.
public struct ConsumerInformation: Sendable, Hashable, Codable {
    /// The stream it reads.
    public let stream: String
    /// Its name, needed to pull from it and to delete it.
    public let name: String
    /// Its configuration.
    public let configuration: ConsumerConfiguration
    /// How many messages match and are not delivered yet: exact at the moment of the answer.
    public let pending: UInt64
    /// How many were delivered and wait for their acknowledgement.
    public let acknowledgementsPending: Int
    /// How many of those were delivered more than once.
    public let redelivered: Int
    /// How many pull requests wait to be filled.
    public let requestsWaiting: Int
    /// The last delivery.
    public let delivered: Position

    /// A delivery: the consumer's own count and the stream's sequence.
    public struct Position: Sendable, Hashable, Codable {
        /// The number of the delivery.
        public let consumerSequence: UInt64
        /// The sequence in the stream.
        public let streamSequence: UInt64

        private enum CodingKeys: String, CodingKey {
            case consumerSequence = "consumer_seq"
            case streamSequence = "stream_seq"
        }
    }

    private enum CodingKeys: String, CodingKey {
        case name, delivered
        case stream = "stream_name"
        case configuration = "config"
        case pending = "num_pending"
        case acknowledgementsPending = "num_ack_pending"
        case redelivered = "num_redelivered"
        case requestsWaiting = "num_waiting"
    }
}
