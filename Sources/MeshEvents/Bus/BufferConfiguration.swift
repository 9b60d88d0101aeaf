/// How much a subscription keeps for a subscriber that is slower than the mesh, and what happens beyond that.
///
/// Both limits hold at once. The chunk that the subscriber is reading (at most 512 events or 1 MiB) comes on top.
public struct BufferConfiguration: Sendable, Hashable {
    /// What happens to an event that does not fit. Every event lost is counted in the subscription's `dropped`.
    public enum Policy: Sendable, Hashable {
        /// The oldest waiting events make room. The default, since new events matter most.
        case dropOldest
        /// The event that does not fit is dropped.
        case dropNewest
        /// The subscription ends: the waiting events are delivered, then `subscriberTooSlow` is thrown.
        case fail
    }

    /// How many events may wait, at least 1. Default 65 536.
    public var maximumEvents: Int
    /// How many bytes may wait (subjects and payloads as received), at least 1. Default 64 MiB.
    public var maximumBytes: Int
    /// What happens beyond the limits. Default ``Policy/dropOldest``.
    public var policy: Policy

    /// Creates a configuration.
    public init(
        maximumEvents: Int = 65_536,
        maximumBytes: Int = 64 * 1024 * 1024,
        policy: Policy = .dropOldest
    ) {
        self.maximumEvents = maximumEvents
        self.maximumBytes = maximumBytes
        self.policy = policy
    }

    func validate() throws(MeshEventsError) {
        guard maximumEvents >= 1, maximumBytes >= 1 else {
            throw MeshEventsError(
                .invalidArgument,
                "a subscription's buffer needs room for at least one event and one byte, "
                    + "not \(maximumEvents) events and \(maximumBytes) bytes"
            )
        }
    }
}
