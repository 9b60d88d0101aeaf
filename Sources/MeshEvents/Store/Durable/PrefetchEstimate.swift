/// Estimates how many events to fetch beyond those that readers wait for: as many as they handle in a quarter of a
/// second. Quick handlers get large batches, slow ones leave events to other subscribers. A pure value.
struct PrefetchEstimate {
    private static let horizon: Duration = .milliseconds(250)

    /// The running mean of the time from handing out to the answer.
    private var mean: Duration?

    /// Records how long it took to handle an event.
    mutating func record(_ duration: Duration) {
        mean = mean.map { $0 * 0.8 + duration * 0.2 } ?? duration
    }

    /// How many events to have ready for so many workers, at most `maximum`; 0 until a first duration is recorded.
    func count(workers: Int, maximum: Int) -> Int {
        guard let mean, maximum > 0 else { return 0 }
        let each = Self.horizon / max(mean, .microseconds(1))
        return Int(min(each * Double(workers), Double(maximum)))
    }
}
