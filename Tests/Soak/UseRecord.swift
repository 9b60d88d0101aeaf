import TestSupport

/// What the process takes of the system, over time.
struct UseRecord {
    private(set) var samples: [ProcessUse] = []

    mutating func add(_ use: ProcessUse) { samples.append(use) }

    /// What has grown, comparing the middle third with the last one: the first is for warming up. Tools come and go,
    /// each with its pipes and reader, so medians are compared, and a few descriptors and threads more are no growth.
    ///
    /// - Parameter memory: how many bytes of resident memory more are no growth; a tenth never is.
    func growth(allowing memory: Int) -> [String] {
        guard samples.count >= 9 else { return ["\(samples.count) samples are too few to tell"] }
        let third = samples.count / 3
        let (middle, last) = (samples[third..<2 * third], samples[(2 * third)...])
        func compare(_ what: String, _ value: (ProcessUse) -> Int, allowed: (Int) -> Int) -> String? {
            let (before, after) = (Self.median(middle.map(value)), Self.median(last.map(value)))
            return after > before + allowed(before) ? "\(what) grew from \(before) to \(after)" : nil
        }
        return [
            compare("resident memory", \.residentBytes) { max(memory, $0 / 10) },
            compare("descriptors", \.descriptors) { _ in 8 },
            compare("threads", \.threads) { _ in 4 },
        ].compactMap(\.self)
    }

    private static func median(_ values: [Int]) -> Int { values.sorted()[values.count / 2] }
}
