import MeshEvents

/// Since when a keeper hears the mesh without interruption. While the server did not answer, or this process stood still,
/// events could not arrive: then silence says nothing of a node.
///
/// How long an interruption may be that counts for nothing depends on the node: on how often it is to be heard.
struct Hearing: Sendable {
    /// A time without an answer.
    private struct Gap {
        var length: Duration
        var end: ContinuousClock.Instant
    }

    /// How many gaps it remembers.
    private static let mostGaps = 64

    private var lastAnswer: ContinuousClock.Instant?
    /// The gaps behind which there was no longer one, in order: each is shorter than the one before. The first is the time
    /// before the first answer.
    private var gaps: [Gap] = []
    private var isTroubled = false

    /// Notes that the server has answered.
    mutating func answered(at now: ContinuousClock.Instant = .now) {
        guard !isTroubled else { return }
        let gap = Gap(length: lastAnswer.map { now - $0 } ?? .seconds(Int64.max), end: now)
        lastAnswer = now
        while let last = gaps.last, last.length <= gap.length { gaps.removeLast() }
        gaps.append(gap)
        guard gaps.count > Self.mostGaps else { return }
        // The two shortest become one that is as long as the longer one.
        gaps.removeLast()
        gaps[gaps.count - 1].end = now
    }

    /// Notes that the stream does not answer, or answers again.
    mutating func troubled(_ isTroubled: Bool) {
        self.isTroubled = isTroubled
        if isTroubled { (lastAnswer, gaps) = (nil, []) }
    }

    /// For how long it hears the mesh; `nil` while it does not.
    ///
    /// - Parameter tolerance: the longest time between two answers that is no interruption.
    func duration(at now: ContinuousClock.Instant, tolerating tolerance: Duration) -> Duration? {
        guard let lastAnswer, now - lastAnswer <= tolerance else { return nil }
        return gaps.last { $0.length > tolerance }.map { now - $0.end }
    }
}
