import MeshEvents

/// What is known of a tool on a node: the newest fact of each kind.
struct ToolRecord: Sendable, Equatable {
    private enum Run: Sendable, Equatable {
        case started
        case stopped(reason: String)
        case crashed
    }

    private struct Crash: Sendable, Equatable {
        var error: String
        var restartCount: Int
    }

    private var version: Fact<String>?
    private var installed: Stamp?
    private var configured: Stamp?
    private var run: Fact<Run>?
    private var crash: Fact<Crash>?
    private var removed: Stamp?

    /// Takes in what happened.
    mutating func apply(_ fact: LifecycleFact.Tool, at stamp: Stamp) {
        switch fact {
        case .installed(let version):
            installed = Stamp.latest(installed, stamp)
            if !version.isEmpty { Fact.learn(&self.version, version, at: stamp) }
        case .configured: configured = Stamp.latest(configured, stamp)
        case .started: Fact.learn(&run, .started, at: stamp)
        case .stopped(let reason): Fact.learn(&run, .stopped(reason: reason), at: stamp)
        case .crashed(let error, let restartCount):
            Fact.learn(&run, .crashed, at: stamp)
            Fact.learn(&crash, Crash(error: error, restartCount: restartCount), at: stamp)
        case .removed: removed = Stamp.latest(removed, stamp)
        }
    }

    /// The approximate size of a record without its texts, in bytes.
    static let ownBytes = 384

    /// The approximate size of the record with its name, in bytes.
    func bytes(_ name: String) -> Int {
        var bytes = Self.ownBytes + name.utf8.count + (version?.value.utf8.count ?? 0)
        bytes += crash?.value.error.utf8.count ?? 0
        if case .stopped(let reason) = run?.value { bytes += reason.utf8.count }
        return bytes
    }

    /// Whether no event was applied.
    var isEmpty: Bool { self == ToolRecord() }

    /// Whether it runs or crashed, by its newest event.
    var isActive: Bool {
        guard let run, removal == nil else { return false }
        return run.value == .started || run.value == .crashed
    }

    /// When it was removed; `nil` when it was not, or was installed again.
    var removal: Timestamp? {
        guard let removed else { return nil }
        // `tool.stopped` and `tool.crashed` may arrive after the removal, so they are no sign of a new installation.
        let started = run?.value == .started ? run?.stamp : nil
        let life = Stamp.latest(Stamp.latest(installed, configured), started)
        return life.map { $0 > removed } == true ? nil : removed.at
    }

    /// Whether no restart has followed the last crash: the tool has not been started yet, or its node gave up.
    private func hasNotRestarted(_ run: Fact<Run>?) -> Bool {
        switch run?.value {
        case .crashed: true
        case .stopped(let reason): reason.hasPrefix(ToolStopped.gaveUpReason)
        case .started, nil: false
        }
    }

    /// The public view of the tool.
    ///
    /// - Parameters:
    ///   - ending: when and why all tools of the node last ended.
    ///   - isUncertain: whether the node is unreachable.
    func view(
        _ name: String,
        node: String,
        ending: (stamp: Stamp, reason: String)?,
        isUncertain: Bool
    ) -> MeshState.Tool {
        let removal = removal
        // A run before a removal does not count for what was installed after it.
        let run = run.flatMap { run in removed.map { run.stamp < $0 } == true ? nil : run }
        let crash = crash.flatMap { crash in
            removal == nil && removed.map { crash.stamp < $0 } == true ? nil : crash
        }
        let isOver = { (stamp: Stamp) in ending.map { stamp < $0.stamp } ?? false }
        var tool = MeshState.Tool(name: name, node: node, version: version?.value, state: .installed)
        tool.isUncertain = isUncertain && removal == nil
        tool.lastError = crash?.value.error
        tool.lastCrashAt = crash?.stamp.at
        if let crash, !isOver(crash.stamp) {
            // A `tool.crashed` already counts the restart that may follow.
            tool.restartCount = hasNotRestarted(run) ? max(0, crash.value.restartCount - 1) : crash.value.restartCount
        }
        if let removal {
            (tool.state, tool.since) = (.removed, removal)
            return tool
        }
        guard let run else {
            tool.since = (installed ?? configured)?.at
            return tool
        }
        tool.since = run.stamp.at
        switch run.value {
        case .stopped(let reason): (tool.state, tool.stopReason) = (.stopped, reason)
        case .started, .crashed:
            if let ending, isOver(run.stamp) {
                (tool.state, tool.stopReason, tool.since) = (.stopped, ending.reason, ending.stamp.at)
            } else {
                tool.state = run.value == .started ? .running : .crashed
            }
        }
        return tool
    }
}
