import MeshConcurrency
import MeshEvents
import MeshEventsNATS

/// The requests that came lately, by their identities: one that comes again is not carried out again. Without an id, a request
/// that has a time is known by its contents, that time among them: a copy has the same. One with neither cannot be told from a
/// copy, and is new each time.
///
/// None is forgotten early, however many come after it. One that is not remembered is new only when its time says that it
/// would be: it is compared with this node's clock, as ``ToolRequest/time`` is corrected for that by who asks.
struct RecentRequests {
    /// What to do with a request.
    enum Verdict {
        /// Carry it out.
        case new
        /// It came before: give the same answer.
        case repeated(OneShot<ToolControlAnswer>)
        /// Another request had the same identity.
        case conflict
        /// It is from a time that is not remembered: refuse it, and say the time of this node.
        case untimely(now: Timestamp)
        /// No more can be remembered.
        case full
    }

    private enum Identity: Hashable {
        case id(String)
        /// A hash of the request, with a key of this process.
        case contents(Int)

        /// `nil` for a request that cannot be told from a copy.
        init?(of request: ToolRequest) {
            if !request.id.isEmpty {
                self = .id(request.id)
            } else if request.time != nil {
                self = .contents(request.hashValue)
            } else {
                return nil
            }
        }
    }

    private struct Entry {
        let fingerprint: Int
        let since: ContinuousClock.Instant
        let answer: OneShot<ToolControlAnswer>
    }

    /// For how long a request is remembered.
    static let memory: Duration = .seconds(15 * 60)
    /// How old a request may be, and how far its time may be ahead: together less than the time for which it is remembered.
    static let (maximumAge, maximumLead): (Duration, Duration) = (.seconds(5 * 60), .seconds(5))
    /// How many are remembered: more than the budget of requests lets through in that time.
    static let maximum = 10_000

    private var entries: [Identity: Entry] = [:]
    /// The identities, the oldest first.
    private var order: [Identity] = []
    /// Since when requests are remembered, by two clocks.
    private var began: (time: Timestamp, instant: ContinuousClock.Instant)

    /// Remembers none yet.
    init(time: Timestamp = .now, at now: ContinuousClock.Instant = .now) { began = (time, now) }

    /// How many are remembered.
    var count: Int { entries.count }

    /// Judges a request.
    ///
    /// - Parameters:
    ///   - time: the system's time.
    ///   - now: the time of a clock that is never set.
    mutating func verdict(
        on request: ToolRequest,
        time: Timestamp = .now,
        at now: ContinuousClock.Instant = .now
    ) -> Verdict {
        forget(at: now)
        let identity = Identity(of: request)
        if let identity, let entry = entries[identity] {
            return entry.fingerprint == Self.fingerprint(request) ? .repeated(entry.answer) : .conflict
        }
        let present = self.time(time, at: now)
        if let made = request.time {
            let oldest = max(began.time, present.subtracting(Self.maximumAge))
            guard made >= oldest, made <= present.adding(Self.maximumLead) else { return .untimely(now: present) }
        }
        return entries.count < Self.maximum || identity == nil ? .new : .full
    }

    /// Remembers a new request.
    ///
    /// - Returns: what is to be fulfilled with its answer.
    mutating func add(
        _ request: ToolRequest,
        at now: ContinuousClock.Instant = .now
    ) -> OneShot<ToolControlAnswer> {
        let answer = OneShot<ToolControlAnswer>()
        guard let identity = Identity(of: request) else { return answer }
        entries[identity] = Entry(fingerprint: Self.fingerprint(request), since: now, answer: answer)
        order.append(identity)
        return answer
    }

    /// This node's time. It follows a system clock that is set forward, as at the start of a machine without a clock of its
    /// own; one that is set back would make old requests young, and is not followed.
    private mutating func time(_ time: Timestamp, at now: ContinuousClock.Instant) -> Timestamp {
        let counted = began.time.adding(now - began.instant)
        guard time > counted else { return counted }
        began.time = began.time.adding(time.duration(since: counted))
        return time
    }

    /// Tells other requests of the same identity apart. Its time may have been corrected.
    private static func fingerprint(_ request: ToolRequest) -> Int {
        var request = request
        request.time = nil
        return request.hashValue
    }

    private mutating func forget(at now: ContinuousClock.Instant) {
        let old = order.prefix { entries[$0].map { now - $0.since > Self.memory } ?? true }
        for identity in old { entries[identity] = nil }
        order.removeFirst(old.count)
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
