import MeshEvents
import NATSClient

/// When a message was first sent, and the sequence of the stream it must come after.
struct FirstSending: Sendable {
    /// The part of the stream's duplicate window in which a message is sent again. After the window the stream no
    /// longer knows a copy stored at the first sending, so the message must arrive before; the rest of the window is
    /// for its way.
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
