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

    /// What is being told at once.
    struct Batch: Sendable, Equatable {
        var id: String
        /// The sequences of the reports, ascending.
        var sequences: [UInt64]
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
    private static let mostTold = 1_000
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
            place.sending = Batch(id: String(id.suffix(64)), sequences: due.map(\.sequence))
        }
        guard let sending = place.sending, now >= nextAt else { return nil }
        let sequences = Set(sending.sequences)
        let found = items.filter { sequences.contains($0.sequence) }
        guard !found.isEmpty else {
            // The stream has dropped them.
            end(sending)
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
            givenUp += sending.sequences.count
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
        let done = Set(batch.sequences)
        items.removeAll { done.contains($0.sequence) }
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
        if let sending = data["sending"], let id = sending["id"]?.string {
            let sequences = (sending["sequences"]?.array ?? []).compactMap(\.uint64).sorted()
            if !sequences.isEmpty { self.sending = TargetQueue.Batch(id: id, sequences: sequences) }
        }
        failingSince = data["failing_since"]?.timestamp
    }

    /// What is saved.
    var json: EventData {
        var members: [(String, JSONValue)] = [
            ("position", JSONValue(position)), ("told", .array(told.map { JSONValue($0) })),
        ]
        if let sending {
            let sequences: [JSONValue] = sending.sequences.map { JSONValue($0) }
            members.append(("sending", ["id": .string(sending.id), "sequences": .array(sequences)]))
        }
        if let failingSince { members.append(("failing_since", JSONValue(failingSince))) }
        return EventData(JSONObject(members))
    }
}
