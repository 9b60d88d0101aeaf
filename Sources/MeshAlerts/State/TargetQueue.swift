import MeshEvents

/// What one target is still to be told, and when. A value without a clock.
struct TargetQueue: Sendable {
    /// A stored report.
    struct Item: Sendable, Equatable {
        var sequence: UInt64
        var alert: Alert
        /// It is not told before.
        var heldUntil: Timestamp
    }

    /// What is being told at once: what waits within these sequences, and is not held longer.
    struct Batch: Sendable, Equatable {
        var id: String
        var first: UInt64
        var last: UInt64
        /// When it was formed.
        var at: Timestamp

        /// Whether a report is in it.
        func holds(_ item: Item) -> Bool { (first...last).contains(item.sequence) && item.heldUntil <= at }
    }

    /// What is saved of a queue: where it stands in the stream.
    struct Place: Sendable, Equatable {
        /// All reports up to this sequence are told, or need not be.
        var position: UInt64
        /// The sequences of reports behind it that are told, ascending.
        var told: [UInt64] = []
        /// What was being told when this was saved: it may have arrived.
        var sending: Batch?
        /// Since when the target takes nothing; `nil` when it does.
        var failingSince: Timestamp?
    }

    /// How many reports are kept; with more, the older ones are told as a number.
    static let mostItems = 10_000
    /// How many reports a notification has; further ones are told as a number.
    static let mostAlerts = 500
    private static let mostTold = 500
    private static let longestPause: Duration = .seconds(300)
    private static let longestRequestedPause: Duration = .seconds(3_600)
    /// How long a target takes nothing until that is said.
    private static let patience: Duration = .seconds(300)
    /// How many notifications may come close together before the limit counts.
    private static let burst = 5.0

    private(set) var place: Place
    private let window: Duration
    private let refill: Double
    private var items: [Item] = []
    /// How many reports are no longer kept.
    private var dropped = 0
    private var seen: UInt64
    private var tokens = burst
    private var refilledAt: Timestamp?
    private var nextAt = Timestamp.epoch
    private var failures = 0
    private var hasSaid = false
    /// The ids of firings that the target refused.
    private var unknown: Set<String> = []
    private(set) var givenUp = 0
    /// Whether the target is being told at this moment, or that is being saved.
    var isTelling = false

    init(_ target: AlertTarget, at place: Place) {
        self.place = place
        window = target.window
        refill = Double(max(target.mostPerHour, 1)) / 3_600
        seen = place.position
    }

    /// How many reports wait.
    var waiting: Int { items.count + dropped }

    /// Takes in a report, unless it is known.
    mutating func add(_ item: Item) {
        guard item.sequence > seen else { return }
        seen = item.sequence
        guard !place.told.contains(item.sequence) else { return }
        if item.alert.status == .resolved, unknown.remove(item.alert.id) != nil { return }
        // In a cluster a report may be stored twice.
        guard !items.contains(where: { $0.alert.identity == item.alert.identity }) else { return }
        items.append(item)
        if items.count > Self.mostItems, place.sending == nil {
            items.removeFirst()
            dropped += 1
        }
    }

    /// Takes in that all reports up to a sequence were taken in.
    mutating func read(to sequence: UInt64) { seen = max(seen, sequence) }

    /// When ``next(_:)`` has to be asked again; `nil` when there is nothing to tell.
    var nextDeadline: Timestamp? {
        if place.sending != nil { return nextAt }
        guard let due = items.lazy.map(\.heldUntil).min() else { return nil }
        return max(due, nextAt)
    }

    /// What is to be told now; `nil` for nothing. It stays the same until ``delivered(_:)`` or ``refused(_:_:)``.
    mutating func next(_ now: Timestamp) -> (batch: Batch, items: [Item], omitted: Int)? {
        if place.sending == nil {
            guard now >= nextAt else { return nil }
            let due = items.filter { $0.heldUntil <= now }
            guard let first = due.first, let last = due.last else { return nil }
            // The same for all who form it; another one in a stream that was created anew.
            let id = "\(first.alert.id)-\(String(first.sequence, radix: 36))-\(String(last.sequence, radix: 36))"
            place.sending = Batch(id: String(id.suffix(64)), first: first.sequence, last: last.sequence, at: now)
        }
        guard let sending = place.sending, now >= nextAt else { return nil }
        let found = items.filter { sending.holds($0) }
        guard !found.isEmpty else {
            // The stream has dropped them.
            end(sending)
            place.failingSince = nil
            return nil
        }
        let told = found.suffix(Self.mostAlerts)
        return (sending, Array(told), found.count - told.count + dropped)
    }

    /// Notes that it was told.
    ///
    /// - Returns: Whether the target takes something again after it was said that it does not.
    @discardableResult
    mutating func delivered(_ now: Timestamp) -> Bool {
        guard let sending = place.sending else { return false }
        end(sending)
        dropped = 0
        failures = 0
        place.failingSince = nil
        refillTokens(now)
        tokens -= 1
        nextAt = now.adding(tokens >= 1 ? window : max(window, .seconds((1 - tokens) / refill)))
        defer { hasSaid = false }
        return hasSaid
    }

    /// Notes that the target did not take it. What it refused for what it is will not be told again.
    ///
    /// - Returns: whether that has to be said: it lasts long already, or something was given up.
    mutating func refused(_ failure: NotificationFailure, _ now: Timestamp) -> Bool {
        guard let sending = place.sending else { return false }
        if failure.isFinal {
            let refused = items.filter { sending.holds($0) }
            givenUp += refused.count
            // It is not told that something is over of which it does not know that it fired.
            for item in refused where item.alert.status == .firing { unknown.insert(item.alert.id) }
            if unknown.count > Self.mostTold { unknown = [] }
            end(sending)
            nextAt = now.adding(window)
            return true
        }
        failures += 1
        let pause = min(Self.longestPause, .seconds(1) * (1 << min(failures - 1, 9)))
        let requested = failure.retryAfter.map { min($0, Self.longestRequestedPause) } ?? .zero
        nextAt = now.adding(max(pause, requested))
        let since = place.failingSince ?? now
        place.failingSince = since
        guard !hasSaid, now >= since.adding(Self.patience) else { return false }
        hasSaid = true
        return true
    }

    private mutating func end(_ batch: Batch) {
        let done = items.filter { batch.holds($0) }.map(\.sequence)
        items.removeAll { batch.holds($0) }
        place.sending = nil
        place.told = Array(Set(place.told).union(done)).sorted()
        settle()
    }

    /// Moves the position over all that needs not be told any more.
    mutating func settle() {
        let position = items.first.map { $0.sequence - 1 } ?? seen
        guard place.sending == nil || !items.isEmpty else { return }
        place.position = max(place.position, position)
        place.told.removeAll { $0 <= place.position }
        if place.told.count > Self.mostTold { place.told.removeFirst(place.told.count - Self.mostTold) }
    }

    private mutating func refillTokens(_ now: Timestamp) {
        let passed = refilledAt.map { now.duration(since: $0) / .seconds(1) } ?? 0
        tokens = min(Self.burst, tokens + max(passed, 0) * refill)
        refilledAt = now
    }
}

extension TargetQueue.Place {
    init?(json data: EventData) {
        guard let position = data["position"]?.uint64 else { return nil }
        self.init(position: position, told: data.list("told").compactMap(\.uint64).sorted())
        if let sending = data["sending"], let id = sending["id"]?.string, let first = sending["first"]?.uint64,
            let last = sending["last"]?.uint64, first <= last, let at = sending["at"]?.timestamp
        {
            self.sending = TargetQueue.Batch(id: id, first: first, last: last, at: at)
        }
        failingSince = data["failing_since"]?.timestamp
    }

    /// What is saved.
    var json: EventData {
        var members: [(String, JSONValue)] = [
            ("position", JSONValue(position)), ("told", .array(told.map { JSONValue($0) })),
        ]
        if let sending {
            let batch: JSONValue = [
                "id": .string(sending.id), "first": JSONValue(sending.first), "last": JSONValue(sending.last),
                "at": JSONValue(sending.at),
            ]
            members.append(("sending", batch))
        }
        if let failingSince { members.append(("failing_since", JSONValue(failingSince))) }
        return EventData(JSONObject(members))
    }
}
