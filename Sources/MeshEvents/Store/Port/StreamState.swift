/// What a stream holds.
public struct StreamState: Sendable, Hashable {
    /// The stream's name.
    public let name: String
    /// How many messages it holds.
    public let messages: UInt64
    /// Their size, in bytes, as the store counts it.
    public let bytes: UInt64
    /// The oldest sequence it still holds; one past ``lastSequence`` when it is empty.
    public let firstSequence: UInt64
    /// The newest sequence it has ever assigned; 0 when nothing was stored yet.
    public let lastSequence: UInt64
    /// When the stream was created. A sequence identifies an event only together with it, since a stream that is
    /// deleted and created again counts from 1. `nil` when the store cannot tell.
    public let created: Timestamp?

    /// Creates a state.
    public init(
        name: String,
        messages: UInt64,
        bytes: UInt64,
        firstSequence: UInt64,
        lastSequence: UInt64,
        created: Timestamp? = nil
    ) {
        self.name = name
        self.messages = messages
        self.bytes = bytes
        self.firstSequence = firstSequence
        self.lastSequence = lastSequence
        self.created = created
    }
}
