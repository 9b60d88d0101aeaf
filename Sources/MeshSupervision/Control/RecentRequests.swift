import MeshConcurrency
import MeshEventsNATS

/// The requests that came lately, by their identities: one that comes again is not carried out again.
struct RecentRequests {
    /// What to do with a request.
    enum Verdict {
        /// Carry it out, and fulfil this with the answer.
        case new(OneShot<ToolControlAnswer>)
        /// It came before: give the same answer.
        case repeated(OneShot<ToolControlAnswer>)
        /// Another request had the same identity.
        case conflict
    }

    private struct Entry {
        let fingerprint: Int
        let since: ContinuousClock.Instant
        let answer: OneShot<ToolControlAnswer>
    }

    /// How many are remembered; the oldest are forgotten.
    static let maximum = 1_024
    /// For how long.
    static let memory: Duration = .seconds(15 * 60)

    private var entries: [String: Entry] = [:]
    /// The identities, the oldest first.
    private var order: [String] = []

    /// How many are remembered.
    var count: Int { entries.count }

    /// Takes in a request.
    mutating func take(_ request: ToolRequest, at now: ContinuousClock.Instant = .now) -> Verdict {
        let answer = OneShot<ToolControlAnswer>()
        guard !request.id.isEmpty else { return .new(answer) }
        forget(at: now)
        if let entry = entries[request.id] {
            return entry.fingerprint == request.hashValue ? .repeated(entry.answer) : .conflict
        }
        entries[request.id] = Entry(fingerprint: request.hashValue, since: now, answer: answer)
        order.append(request.id)
        return .new(answer)
    }

    /// Forgets a request that was not carried out: it may come again.
    mutating func forget(_ request: ToolRequest) {
        guard entries.removeValue(forKey: request.id) != nil else { return }
        order.removeAll { $0 == request.id }
    }

    private mutating func forget(at now: ContinuousClock.Instant) {
        while let oldest = order.first, let entry = entries[oldest],
            entries.count >= Self.maximum || now - entry.since > Self.memory
        {
            order.removeFirst()
            entries[oldest] = nil
        }
    }
}

/// How often something may happen: a number of times at once, and then at a rate.
struct ControlBudget {
    private let capacity: Double
    private let perSecond: Double
    private var left: Double
    private var last: ContinuousClock.Instant?

    /// Creates a full budget.
    ///
    /// - Parameters:
    ///   - capacity: how often at once.
    ///   - perSecond: how often a second after that.
    init(_ capacity: Double, perSecond: Double) {
        self.capacity = capacity
        self.perSecond = perSecond
        left = capacity
    }

    /// Whether it may happen once more.
    mutating func take(at now: ContinuousClock.Instant = .now) -> Bool {
        if let last { left = min(capacity, left + (now - last) / .seconds(1) * perSecond) }
        last = now
        guard left >= 1 else { return false }
        left -= 1
        return true
    }
}
