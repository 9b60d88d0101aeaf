/// What a transport has counted since it was made.
public struct TransportStatistics: Sendable, Hashable {
    /// How often the connection was lost and restored.
    public var reconnects: UInt64
    /// How many messages were on their way when a connection was lost: they may have arrived or not.
    public var unconfirmed: UInt64
    /// How many bytes wait to be sent at this moment.
    public var outboundBytes: Int

    /// Creates statistics.
    public init(reconnects: UInt64 = 0, unconfirmed: UInt64 = 0, outboundBytes: Int = 0) {
        self.reconnects = reconnects
        self.unconfirmed = unconfirmed
        self.outboundBytes = outboundBytes
    }
}

extension EventTransport {
    /// A transport that counts nothing.
    public var statistics: TransportStatistics { TransportStatistics() }
}
