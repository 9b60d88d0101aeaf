import MeshEvents

/// What is known of a node: the newest of each kind of fact. The order in which facts arrive makes no difference.
struct NodeRecord: Sendable, Equatable {
    private struct Health: Sendable, Equatable {
        var status: String
        var resources: EventData
    }

    /// The interval of a node that does not say its own, in seconds.
    static let defaultInterval = 10.0
    /// The longest distance of two health events that is taken for an interval, in seconds.
    private static let longestObserved = 3_600.0
    /// The longest interval that a node can claim, in seconds.
    private static let longestClaimed = 86_400.0

    private(set) var lastSeen: Timestamp
    private var joined: Stamp?
    private var left: Fact<String>?
    /// The newest that only a node says that is there.
    private var present: Stamp?
    private var health: Fact<Health>?
    private var healthBefore: Stamp?
    private var capabilities: Fact<EventData>?
    private var claimedInterval: Fact<Double>?
    private var incarnation: Incarnation?
    private(set) var tools: [String: ToolRecord] = [:]

    init(lastSeen: Timestamp) { self.lastSeen = lastSeen }

    // MARK: Taking in

    mutating func saw(at time: Timestamp) { lastSeen = max(lastSeen, time) }

    /// Takes in what was said.
    ///
    /// - Returns: What of the node's own is new; whether its status is, is left to the caller.
    mutating func apply(_ fact: LifecycleFact, at stamp: Stamp) -> MeshState.Change.Kinds {
        if fact.showsPresence { present = Stamp.latest(present, stamp) }
        switch fact {
        case .health(let status, let resources):
            learnIdentity(resources, at: stamp, isJoin: false)
            return learn(Health(status: status, resources: resources), at: stamp) ? .resources : []
        case .joined(let data):
            learnIdentity(data, at: stamp, isJoin: true)
            var kinds: MeshState.Change.Kinds = []
            if joined.map({ $0 < stamp }) ?? true {
                joined = stamp
                kinds.insert(.joined)
            }
            // A reconnecting node of the Go mesh says nothing of what it can do; that is no news.
            let before = capabilities?.value
            if !data.isNull, Fact.learn(&capabilities, data, at: stamp), data != before { kinds.insert(.capabilities) }
            return kinds
        case .left(let reason):
            Fact.learn(&left, reason, at: stamp)
            return []
        case .tool(let name, let event):
            guard !name.isEmpty else { return [] }
            tools[name, default: ToolRecord()].apply(event, at: stamp)
            return []
        }
    }

    private mutating func learn(_ new: Health, at stamp: Stamp) -> Bool {
        if let known = health?.stamp, stamp != known {
            healthBefore = Stamp.latest(healthBefore, min(stamp, known))
        }
        let isNew = health.map { $0.stamp < stamp } ?? true
        Fact.learn(&health, new, at: stamp)
        return isNew
    }

    private mutating func learnIdentity(_ data: EventData, at stamp: Stamp, isJoin: Bool) {
        guard !data.isNull else { return }
        if let seconds = data["interval_s"]?.double, seconds > 0, seconds <= Self.longestClaimed {
            Fact.learn(&claimedInterval, seconds, at: stamp)
        }
        if let instance = data["instance"]?.string, !instance.isEmpty {
            Incarnation.learn(&incarnation, instance, at: stamp, isJoin: isJoin)
        }
    }

    /// Drops the tools that were removed before `time`.
    mutating func forgetTools(removedBefore time: Timestamp) {
        for (name, tool) in tools where tool.removal.map({ $0 < time }) == true { tools[name] = nil }
    }

    // MARK: Asking

    /// Whether it has tools that were not removed.
    var hasTools: Bool { tools.values.contains { $0.removal == nil } }

    /// How far apart its health events are, in seconds.
    var interval: Double {
        if let claimedInterval { return claimedInterval.value }
        guard let newest = health?.stamp, let healthBefore else { return Self.defaultInterval }
        let observed = newest.at.duration(since: healthBefore.at) / .seconds(1)
        return min(max(observed, Self.defaultInterval), Self.longestObserved)
    }

    /// When it becomes unreachable if nothing more is heard; `nil` when it never sends health, or has left.
    var deadline: Timestamp? {
        guard health != nil || claimedInterval != nil, !hasLeft else { return nil }
        return lastSeen.adding(.seconds(interval * Double(MeshState.missedIntervals)))
    }

    var hasLeft: Bool {
        guard let left else { return false }
        return present.map { $0 <= left.stamp } ?? true
    }

    func status(at now: Timestamp) -> MeshState.Node.Status {
        if hasLeft { return .left }
        if let deadline, now >= deadline { return .unreachable }
        return reportedStatus.map { $0.isEmpty || $0 == "online" } ?? true ? .online : .degraded
    }

    /// What it says of itself; `nil` when it has said nothing since it was started.
    private var reportedStatus: String? {
        guard let health else { return nil }
        if let left, health.stamp < left.stamp { return nil }
        if let start = incarnation?.cutoff, health.stamp < start { return nil }
        return health.value.status
    }

    /// The failing checks that it names.
    var failingChecks: [String: String] {
        guard reportedStatus != nil, let members = health?.value.resources["checks"]?.members else { return [:] }
        let pairs = members.map { ($0.key, $0.value.string ?? $0.value.value.description) }
        return Dictionary(pairs) { $1 }
    }

    /// The newest end of all that ran on it, and what it was.
    private var ending: (stamp: Stamp, reason: String)? {
        let start = incarnation?.cutoff
        if let left, start.map({ $0 < left.stamp }) ?? true { return (left.stamp, "the node left") }
        return start.map { ($0, "the node was started anew") }
    }

    func view(_ name: String, at now: Timestamp) -> MeshState.Node {
        let status = status(at: now)
        return MeshState.Node(
            name: name,
            status: status,
            reportedStatus: reportedStatus.flatMap { $0.isEmpty ? nil : $0 },
            failingChecks: failingChecks,
            joinedAt: joined?.at,
            lastSeen: lastSeen,
            leftAt: status == .left ? left?.stamp.at : nil,
            leaveReason: status == .left ? left?.value : nil,
            unreachableSince: status == .unreachable ? deadline : nil,
            healthInterval: .seconds(interval),
            sendsHealth: health != nil || claimedInterval != nil,
            capabilities: capabilities?.value ?? .null,
            resources: health?.value.resources ?? .null,
            tools: toolViews(name, status)
        )
    }

    func tool(_ tool: String, of node: String, at now: Timestamp) -> MeshState.Tool? {
        tools[tool]?.view(tool, node: node, ending: ending, isUncertain: status(at: now) == .unreachable)
    }

    /// Its tools as they are shown, by name.
    func toolViews(_ node: String, _ status: MeshState.Node.Status) -> [MeshState.Tool] {
        let ending = ending
        return
            tools
            .map { $1.view($0, node: node, ending: ending, isUncertain: status == .unreachable) }
            .sorted { $0.name < $1.name }
    }
}
