import MeshEvents

/// Delays replayed events, so that they follow each other as they were stored.
struct ReplayPace {
    /// The speed relative to the times of storing; `nil` for as fast as possible.
    private(set) var factor: Double?
    private var begin: (wall: ContinuousClock.Instant, stored: Timestamp)?

    /// Reads `max`, `real` or a factor.
    ///
    /// - Throws: `CommandFailure`, usage.
    init(_ text: String) throws {
        switch text {
        case "max": factor = nil
        case "real": factor = 1
        default:
            let number = text.hasSuffix("x") ? String(text.dropLast()) : text
            guard let value = Double(number), value >= 0.001, value <= 1_000_000 else {
                throw CommandFailure(
                    .usage,
                    "--speed is max, real or a factor from 0.001 to 1000000, not \(text.debugDescription)"
                )
            }
            factor = value
        }
    }

    /// Ends the delays.
    mutating func stop() { factor = nil }

    /// The time at which an event is due; `nil` for at once.
    mutating func delay(of stored: Timestamp, now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        guard let factor else { return nil }
        guard let begin else {
            begin = (now, stored)
            return nil
        }
        return begin.wall + max(.zero, stored.duration(since: begin.stored)) / factor
    }

    /// Suspends until an event is due.
    mutating func wait(for event: StoredEvent) async throws {
        guard let due = delay(of: event.storedAt, now: .now), due > .now else { return }
        try await Task.sleep(until: due)
    }
}
