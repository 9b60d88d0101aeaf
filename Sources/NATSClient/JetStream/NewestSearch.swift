/// Finds where to begin reading, so that a reader gets the newest N matching messages of a stream and not many more.
///
/// JetStream has no query for it. But a consumer created at a sequence answers how many messages match from there on
/// (`num_pending`, exact), at a cost that grows with how far back it starts. So the search goes back from the end in
/// growing steps, learns the density of the matches, and interpolates; it never scans.
///
/// A pure value: ask ``next()`` what to do, do it, report with ``answer(start:matching:)``, ask again. Messages may be
/// added and removed meanwhile: a count is true at its moment only, and a newer count replaces an older one that
/// contradicts it.
public struct NewestSearch: Sendable {
    /// What to do next.
    public enum Step: Sendable, Hashable {
        /// Count the matches from each of these sequences on (all at once), and report every one of them.
        case probe([UInt64])
        /// Read from here.
        case read(from: UInt64)
    }

    /// A count that was reported.
    private struct Sample: Sendable {
        let start: UInt64
        let matching: UInt64
    }

    /// How many messages are wanted.
    public let limit: UInt64
    /// The oldest sequence of the stream.
    public let first: UInt64
    /// The most matches that reading may meet; by default twice the limit, and 64 more.
    public let maximum: UInt64

    private let isFiltered: Bool
    /// One past the newest message that counts.
    public private(set) var end: UInt64
    /// Whether the search ends at a sequence that the caller gave.
    public let isEndFixed: Bool
    /// The matches at and behind a fixed end; `nil` until they are counted.
    public private(set) var beyond: UInt64?
    /// A start with too few matches: begin before it.
    private var tooFew: Sample
    /// A start with too many matches: begin after it.
    private var tooMany: Sample?
    /// The best start found.
    private var found: Sample?
    /// Counts that came before the count beyond a fixed end was known.
    private var pending: [Sample] = []
    private var rounds = 0
    /// Rounds spent between two samples.
    private var refinements = 0

    private static let maximumRounds = 80

    /// Creates a search.
    ///
    /// - Parameters:
    ///   - limit: how many of the newest messages are wanted, at least 1.
    ///   - first: the oldest sequence the stream holds.
    ///   - last: the newest sequence the stream holds.
    ///   - before: only messages below this sequence count; `nil` for all.
    ///   - isFiltered: whether some messages of the stream may not match.
    ///   - maximum: the most matches that reading may meet, for large messages; at least one more than the limit.
    public init(
        limit: Int,
        first: UInt64,
        last: UInt64,
        before: UInt64? = nil,
        isFiltered: Bool = true,
        maximum: UInt64? = nil
    ) {
        self.limit = UInt64(max(limit, 1))
        self.first = max(first, 1)
        self.isFiltered = isFiltered
        let least = self.limit.clampedAdd(1)
        self.maximum = maximum.map { max($0, least) } ?? self.limit.clampedMultiply(2).clampedAdd(64)
        let natural = last == .max ? last : last + 1
        let bounded = before.map { $0 < natural } ?? false
        end = max(bounded ? before ?? natural : natural, self.first)
        isEndFixed = bounded
        beyond = bounded ? nil : 0
        tooFew = Sample(start: end, matching: 0)
    }

    /// What to do next. Call it after every probe of the last step has been reported.
    public mutating func next() -> Step {
        if let found { return .read(from: found.start) }
        let distance = end - first
        // So few messages lie there that reading them all stays within the maximum.
        if distance <= maximum || tooFew.start <= first { return .read(from: first) }
        rounds += 1
        guard rounds <= Self.maximumRounds else { return .read(from: tooMany?.start ?? first) }
        var starts = tooMany.map { between($0) } ?? gallop()
        if beyond == nil { starts.append(end) }
        return starts.isEmpty ? .read(from: tooMany?.start ?? first) : .probe(starts)
    }

    /// Reports how many messages match from `start` on.
    public mutating func answer(start: UInt64, matching count: UInt64) {
        if isEndFixed, start == end {
            beyond = count
            tooFew = Sample(start: end, matching: 0)
        } else {
            pending.append(Sample(start: start, matching: count))
        }
        guard let beyond else { return }
        let samples = pending
        pending = []
        for sample in samples {
            take(Sample(start: sample.start, matching: sample.matching - min(beyond, sample.matching)))
        }
    }

    private mutating func take(_ sample: Sample) {
        if !isEndFixed {
            // Every match has a sequence of its own, so the stream reaches at least this far by now.
            end = max(end, sample.start &+ sample.matching)
        }
        if sample.matching < limit {
            // The lowest start with too few matches counts; a "too many" that contradicts it is out of date.
            if sample.start <= tooFew.start { tooFew = sample }
            if let many = tooMany, many.start >= sample.start { tooMany = nil }
        } else if sample.matching > maximum {
            if tooMany.map({ sample.start >= $0.start }) ?? true { tooMany = sample }
            if tooFew.start <= sample.start { tooFew = Sample(start: end, matching: 0) }
        } else if found.map({ sample.matching < $0.matching }) ?? true {
            found = sample
        }
    }

    /// How many matches to aim at: the middle of what is acceptable.
    private var target: Double { (Double(limit) + Double(maximum)) / 2 }

    /// Starts farther back than what is known to be too few.
    private func gallop() -> [UInt64] {
        let reached = end - min(tooFew.start, end)
        guard reached > 0 else {
            // Nothing is known. Assume that nearly everything matches and, with a filter, also that one in sixteen
            // does.
            let near = limit.clampedAdd(limit / 8).clampedAdd(16)
            return isFiltered ? [back(near), back(near.clampedMultiply(16))].unique : [back(near)]
        }
        guard tooFew.matching > 0 else {
            return [back(reached.clampedMultiply(16)), back(reached.clampedMultiply(256))].unique
        }
        // Few matches tell little about their density: then limit the step.
        let wanted = Double(reached) * target / (Double(tooFew.matching) + 0.5)
        let leap = tooFew.matching < 4 ? 64.0 : 4_096.0
        let bounded = min(max(wanted, Double(reached) + 1), Double(reached) * leap)
        return [back(bounded < 9e18 ? UInt64(bounded) : .max)]
    }

    /// Starts between one with too few matches and one with too many.
    private mutating func between(_ many: Sample) -> [UInt64] {
        guard tooFew.start > many.start + 1 else {
            // Neighbours differ that much only when messages were added meanwhile.
            if isEndFixed || tooFew.start >= end { return [] }
            tooFew = Sample(start: end, matching: 0)
            return end > many.start + 1 ? between(many) : []
        }
        refinements += 1
        let width = tooFew.start - many.start
        let share = (target - Double(tooFew.matching)) / Double(many.matching - tooFew.matching)
        let distance = max(Double(width) * share, 1)
        // For a width of nearly 64 bits, `Double` rounds up to a value that `UInt64` cannot hold.
        let step = distance < Double(width) && distance < 1.8e19 ? UInt64(distance) : width - 1
        let guess = min(max(tooFew.start - min(step, width - 1), many.start + 1), tooFew.start - 1)
        // Clustered matches mislead the interpolation; a bisection beside it bounds the number of rounds.
        return refinements == 1 ? [guess] : [guess, many.start + width / 2].unique
    }

    /// The sequence at a distance before the end.
    private func back(_ distance: UInt64) -> UInt64 {
        distance >= end - first ? first : end - distance
    }
}

extension UInt64 {
    fileprivate func clampedMultiply(_ factor: UInt64) -> UInt64 {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? .max : product
    }

    fileprivate func clampedAdd(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}

extension [UInt64] {
    /// Without repeated neighbours.
    fileprivate var unique: [UInt64] {
        count == 2 && self[0] == self[1] ? [self[0]] : self
    }
}
