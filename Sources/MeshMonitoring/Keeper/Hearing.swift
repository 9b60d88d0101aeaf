import MeshEvents

/// Since when a keeper hears the mesh without interruption. While the server did not answer, or this process stood still,
/// events could not arrive: then silence says nothing of a node.
struct Hearing: Sendable {
    /// The longest time between two answers that is no interruption.
    let tolerance: Duration
    private var lastAnswer: ContinuousClock.Instant?
    private var start: ContinuousClock.Instant?
    private var isTroubled = false

    init(tolerance: Duration) { self.tolerance = tolerance }

    /// The same with another tolerance.
    func tolerating(_ tolerance: Duration) -> Hearing {
        var hearing = Hearing(tolerance: tolerance)
        (hearing.lastAnswer, hearing.start, hearing.isTroubled) = (lastAnswer, start, isTroubled)
        return hearing
    }

    /// Notes that the server has answered.
    mutating func answered(at now: ContinuousClock.Instant = .now) {
        guard !isTroubled else { return }
        let isContinuous = lastAnswer.map { now - $0 <= tolerance } ?? false
        if !isContinuous || start == nil { start = now }
        lastAnswer = now
    }

    /// Notes that the stream does not answer, or answers again.
    mutating func troubled(_ isTroubled: Bool) {
        self.isTroubled = isTroubled
        if isTroubled { (lastAnswer, start) = (nil, nil) }
    }

    /// For how long it hears the mesh; `nil` while it does not.
    func duration(at now: ContinuousClock.Instant) -> Duration? {
        guard let start, let lastAnswer, now - lastAnswer <= tolerance else { return nil }
        return now - start
    }
}
