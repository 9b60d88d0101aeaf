/// The stream that keeps the mesh's events.
///
/// The defaults are those of the Go implementation, field for field, so that a Go node which opens the same stream
/// finds nothing to complain about (the server answers error 10058 when any field differs).
public struct PersistenceConfiguration: Sendable, Hashable {
    /// The stream's name.
    public var streamName: String
    /// How long an event is kept; `nil` for ever. Default 24 hours.
    public var maximumAge: Duration?
    /// How many events are kept; `nil` for any number. Default 10 000.
    public var maximumMessages: Int?
    /// How long ``PersistentEventBus/emit(_:)`` keeps trying before it throws `timeout`. Default 30 seconds.
    public var acknowledgementDeadline: Duration
    /// How many events of a batch may wait for their acknowledgement before emitting suspends, from 1. Default 4 096.
    public var acknowledgementWindow: Int

    /// Creates a configuration; the defaults are the mesh's.
    public init(
        streamName: String = "MESH_EVENTS",
        maximumAge: Duration? = .seconds(24 * 60 * 60),
        maximumMessages: Int? = 10_000,
        acknowledgementDeadline: Duration = .seconds(30),
        acknowledgementWindow: Int = 4096
    ) {
        self.streamName = streamName
        self.maximumAge = maximumAge
        self.maximumMessages = maximumMessages
        self.acknowledgementDeadline = acknowledgementDeadline
        self.acknowledgementWindow = acknowledgementWindow
    }
}
