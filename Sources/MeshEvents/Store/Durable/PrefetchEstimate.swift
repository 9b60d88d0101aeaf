/// How many events to take beyond those that somebody waits for: as many as are worked off in a quarter of a second.
/// Quick handlers get large batches, slow ones leave the events to other subscribers. A pure value.
struct PrefetchEstimate {
    private static let horizon: Duration = .milliseconds(250)

    /// The running mean of the time from handing out to the answer.
    private var mean: Duration?

    /// An event took this long.
    mutating func record(_ duration: Duration) {
        mean = mean.map { $0 * 0.8 + duration * 0.2 } ?? duration
    }

    /// How many events to have ready for so many workers, at most `maximum`; none until something is known.
    func count(workers: Int, maximum: Int) -> Int {
        guard let mean, maximum > 0 else { return 0 }
        let each = Self.horizon / max(mean, .microseconds(1))
        return Int(min(each * Double(workers), Double(maximum)))
    }
}
