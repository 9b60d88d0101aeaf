import MeshEvents

/// What is known of a node: the newest of each kind of fact. The order in which facts arrive makes no difference, as long as
/// its limits are not reached.
///
/// What an event costs does not depend on how many tools there are.
struct NodeRecord: Sendable, Equatable {
    private struct Health: Sendable, Equatable {
        var status: String
        var resources: EventData
    }

    /// What became of a fact.
    struct Outcome {
        /// What of the node's own is new; whether its status is, is left to the caller.
        var kinds: MeshState.Change.Kinds = []
        /// What was not kept.
        var leftOut = MeshState.LeftOut()
    }

    /// What a record takes besides the texts in it, in bytes, about.
    private static let ownBytes = 1_024
    /// How many shards the tools of a node with many have.
    private static let shards = 64
    /// The longest instance; longer ones are cut, as by `NameWatch`.
    private static let instanceLength = 64
    /// The shortest interval that a node can claim, in seconds: no `MeshNode` has a shorter one.
    private static let shortestClaimed = 0.1

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
    private(set) var tools = ShardedTable<ToolRecord>(width: shards)
    /// The tools that were removed, with when.
    private var removedTools = ShardedTable<Timestamp>(width: shards)
    /// How many tools run, or crashed, as far as they said.
    private var activeTools = 0
    /// What the tools take, in bytes.
    private var toolBytes = 0

    init(lastSeen: Timestamp) { self.lastSeen = lastSeen }

    /// What the record takes, in bytes, about.
    var bytes: Int {
        Self.ownBytes + toolBytes + (left?.value.utf8.count ?? 0) + (capabilities?.value.json.utf8.count ?? 0)
            + (health.map { $0.value.status.utf8.count + $0.value.resources.json.utf8.count } ?? 0)
    }

    // MARK: Taking in

    mutating func saw(at time: Timestamp) { lastSeen = max(lastSeen, time) }

    /// Takes in what was said.
    mutating func apply(_ fact: LifecycleFact, at stamp: Stamp, limits: MeshState.Limits) -> Outcome {
        if fact.showsPresence { present = Stamp.latest(present, stamp) }
        var outcome = Outcome()
        var cutter = ValueCutter(limits)
        switch fact {
        case .health(let status, let resources):
            learnIdentity(resources, at: stamp, isJoin: false)
            let health = Health(status: cutter.cut(status), resources: cutter.cut(resources))
            if learn(health, at: stamp) { outcome.kinds = .resources }
        case .joined(let data):
            learnIdentity(data, at: stamp, isJoin: true)
            if joined.map({ $0 < stamp }) ?? true {
                joined = stamp
                outcome.kinds.insert(.joined)
            }
            // A reconnecting node of the Go mesh says nothing of what it can do; that is no news.
            let before = capabilities?.value
            let kept = cutter.cut(data)
            if !data.isNull, Fact.learn(&capabilities, kept, at: stamp), kept != before {
                outcome.kinds.insert(.capabilities)
            }
        case .left(let reason):
            Fact.learn(&left, cutter.cut(reason), at: stamp)
        case .tool(let name, let event):
            guard !name.isEmpty else { break }
            outcome.leftOut.tools = apply(cutter.cut(event), to: name, at: stamp, limits: limits)
        }
        outcome.leftOut.values = cutter.hasCut ? 1 : 0
        return outcome
    }

    /// - Returns: How much was left out for want of room.
    private mutating func apply(
        _ event: LifecycleFact.Tool,
        to name: String,
        at stamp: Stamp,
        limits: MeshState.Limits
    ) -> UInt64 {
        var leftOut: UInt64 = 0
        if tools.count >= limits.toolsPerNode, tools[name] == nil {
            guard let removed = removedTools.anyName else { return 1 }
            forgetTool(removed)
            leftOut = 1
        }
        let (before, after, removal) = tools.update(name, default: ToolRecord()) { tool in
            let before = (tool.isActive, tool.isEmpty ? 0 : tool.bytes(name))
            tool.apply(event, at: stamp)
            return (before, (tool.isActive, tool.bytes(name)), tool.removal)
        }
        activeTools += (after.0 ? 1 : 0) - (before.0 ? 1 : 0)
        toolBytes += after.1 - before.1
        if let removal {
            removedTools.update(name, default: removal) { $0 = removal }
        } else {
            removedTools.remove(name)
        }
        return leftOut
    }

    private mutating func forgetTool(_ name: String) {
        removedTools.remove(name)
        guard let tool = tools.remove(name) else { return }
        toolBytes -= tool.bytes(name)
        if tool.isActive { activeTools -= 1 }
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
            Fact.learn(&claimedInterval, max(seconds, Self.shortestClaimed), at: stamp)
        }
        if let instance = data["instance"]?.string, !instance.isEmpty {
            let instance = String(instance.prefix(Self.instanceLength))
            Incarnation.learn(&incarnation, instance, at: stamp, isJoin: isJoin)
        }
    }

    /// Drops the tools that were removed before `time`.
    mutating func forgetTools(removedBefore time: Timestamp) {
        for (name, removal) in removedTools.all where removal < time { forgetTool(name) }
    }

    // MARK: Asking

    /// Whether it has tools that were not removed.
    var hasTools: Bool { tools.count > removedTools.count }

    /// Whether it has tools that were removed.
    var hasRemovedTools: Bool { !removedTools.isEmpty }

    /// Whether it has tools that the end of all that ran on it would end.
    var hasActiveTools: Bool { activeTools > 0 }

    /// When all that ran on it last ended.
    var endingStamp: Stamp? { ending?.stamp }

    /// How far apart its health events are, in seconds.
    var interval: Double {
        if let claimedInterval { return claimedInterval.value }
        guard let newest = health?.stamp, let healthBefore else { return Self.defaultInterval }
        let observed = newest.at.duration(since: healthBefore.at) / .seconds(1)
        return min(max(observed, Self.defaultInterval), Self.longestObserved)
    }

    /// Whether it says regularly how it is.
    private var sendsHealth: Bool { health != nil || claimedInterval != nil }

    /// When it becomes unreachable if nothing more is heard, or silent where it never sends health; `nil` when it has left.
    var deadline: Timestamp? {
        guard !hasLeft else { return nil }
        guard sendsHealth else { return lastSeen.adding(MeshState.silence) }
        return lastSeen.adding(.seconds(interval * Double(MeshState.missedIntervals)))
    }

    var hasLeft: Bool {
        guard let left else { return false }
        return present.map { $0 <= left.stamp } ?? true
    }

    func status(at now: Timestamp) -> MeshState.Node.Status {
        if hasLeft { return .left }
        if let deadline, now >= deadline { return sendsHealth ? .unreachable : .silent }
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
            sendsHealth: sendsHealth,
            capabilities: capabilities?.value ?? .null,
            resources: health?.value.resources ?? .null,
            toolViews: MeshState.ToolViews(
                tools: tools,
                node: name,
                ending: ending.map { .init(stamp: $0.stamp, reason: $0.reason) },
                isUncertain: status == .unreachable
            )
        )
    }

    func tool(_ tool: String, of node: String, at now: Timestamp) -> MeshState.Tool? {
        tools[tool]?.view(tool, node: node, ending: ending, isUncertain: status(at: now) == .unreachable)
    }
}
