import MeshEvents
import Synchronization

/// Emits numbered events at a steady rate.
final class PacedEmitter: Sendable {
    private let bus: EventBus
    private let rate: Int
    private let sent = Atomic(0)
    private let waits = Atomic(0)

    init(_ bus: EventBus, rate: Int) {
        self.bus = bus
        self.rate = rate
    }

    /// How many events were emitted.
    var count: Int { sent.load(ordering: .relaxed) }
    /// How often the outbound buffer was full.
    var bufferFull: Int { waits.load(ordering: .relaxed) }

    /// Emits until the task is cancelled. What falls behind is made up for.
    func run() async throws {
        let start = ContinuousClock.now
        while !Task.isCancelled {
            let due = Int((ContinuousClock.now - start) / .milliseconds(1)) * rate / 1_000
            while count < due {
                do throws(MeshEventsError) {
                    try bus.emit("user.soak", ["n": .init(count), "text": "a reading of some length"])
                    sent.add(1, ordering: .relaxed)
                } catch {
                    guard error.code == .bufferFull else { throw error }
                    waits.add(1, ordering: .relaxed)
                    try await bus.waitUntilWritable()
                }
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}
