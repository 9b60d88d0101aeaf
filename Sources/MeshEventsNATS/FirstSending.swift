import MeshEvents
import NATSClient

/// When a message was first sent, and behind which sequence of the stream it can be.
struct FirstSending: Sendable {
    /// A copy that was stored at the first sending is forgotten after the stream's duplicate window. One that is sent
    /// again must arrive before; a part of the window is for its way.
    private static let trusted = 0.75

    let time: ContinuousClock.Instant
    let after: StreamPosition

    init(after: StreamPosition, at time: ContinuousClock.Instant = .now) {
        self.after = after
        self.time = time
    }

    /// Whether the stream may have forgotten the message's id, so that sending it again may store it twice.
    func isForgotten(window: Duration) -> Bool { .now - time >= window * Self.trusted }
}
