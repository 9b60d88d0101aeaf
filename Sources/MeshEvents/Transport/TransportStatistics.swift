/// The counts of a transport since it was made.
public struct TransportStatistics: Sendable, Hashable {
    /// How often the connection was lost and restored.
    public var reconnects: UInt64
    /// How many messages were in flight when a connection was lost: they may have arrived or not.
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
    /// The default for a transport that counts nothing: all zero.
    public var statistics: TransportStatistics { TransportStatistics() }
}
