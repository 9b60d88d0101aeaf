import MeshEvents

/// What is known of a tool on a node: the newest fact of each kind.
///
/// Its events and its node's lists are facts side by side. The newer of the two decides what the tool does. A complete
/// list without the tool is a fact about the node; ``NodeRecord`` keeps the time of the newest complete list.
struct ToolRecord: Sendable, Equatable {
    /// What an event said last of its run.
    enum Run: Sendable, Equatable {
        case started
        case stopped(reason: String, failed: Bool, error: String?)
        case crashed(failed: Bool)
        case finished(error: String?, next: Timestamp?)
    }

    /// The reason of a tool with a schedule that waits for its next run.
    private static let finishedReason = "finished"

    struct Crash: Sendable, Equatable {
        var error: String
        var restartCount: Int
    }

    /// What its node's list said last of it.
    struct Listed: Sendable, Equatable {
        var state: MeshState.Tool.State?
        var age: Duration?
        var restarts: Int
        var error: String?
        var usage: StoredUsage?
        var works = ListedWorks()
        var next: Timestamp?
    }

    /// What it does, by the newest fact.
    private struct Doing {
        var state: MeshState.Tool.State
        var since: Timestamp?
        /// The time of that fact.
        var stamp: Stamp?
        /// Why it was stopped or given up.
        var reason: String?
        /// The error with which it was given up.
        var error: String?
        /// What it uses, when its node's list says what it does.
        var usage: StoredUsage?
        /// When it is started next.
        var next: Timestamp?
        /// What its node's list says of it, when that says what it does.
        var text: String?
    }

    var version: Fact<String>?
    var installed: Stamp?
    var configured: Stamp?
    var run: Fact<Run>?
    var crash: Fact<Crash>?
    /// Whether it has shown that it is ready, or need not; what its start says of that, too.
    var ready: Fact<Bool>?
    /// Why it is unhealthy; `nil` when it works again.
    var health: Fact<String?>?
    var removed: Stamp?
    var listed: Fact<Listed>?

    /// Takes in what happened.
    mutating func apply(_ fact: LifecycleFact.Tool, at stamp: Stamp) {
        switch fact {
        case .installed(let version):
            installed = Stamp.latest(installed, stamp)
            if !version.isEmpty { Fact.learn(&self.version, version, at: stamp) }
        case .configured: configured = Stamp.latest(configured, stamp)
        case .started(let isReady):
            Fact.learn(&run, .started, at: stamp)
            Fact.learn(&ready, isReady, at: stamp)
        case .ready: Fact.learn(&ready, true, at: stamp)
        case .health(let reason): Fact.learn(&health, reason, at: stamp)
        case .stopped(let reason, let failed, let error):
            Fact.learn(&run, .stopped(reason: reason, failed: failed, error: error), at: stamp)
        case .crashed(let error, let restartCount, let failed):
            Fact.learn(&run, .crashed(failed: failed), at: stamp)
            Fact.learn(&crash, Crash(error: error, restartCount: restartCount), at: stamp)
        case .removed: removed = Stamp.latest(removed, stamp)
        case .finished(let error, let next): Fact.learn(&run, .finished(error: error, next: next), at: stamp)
        }
    }

    /// Takes in what its node's list says of it.
    mutating func apply(_ listing: ToolListing, at stamp: Stamp) {
        if !listing.version.isEmpty { Fact.learn(&version, listing.version, at: stamp) }
        let said = Listed(
            state: listing.state,
            age: listing.age,
            restarts: listing.restarts,
            error: listing.error,
            usage: listing.usage.map { StoredUsage($0) },
            works: listing.works,
            next: listing.next
        )
        Fact.learn(&listed, said, at: stamp)
    }

    /// Takes in what is known elsewhere.
    mutating func merge(_ other: ToolRecord) {
        Fact.merge(&version, other.version)
        installed = Stamp.latest(installed, other.installed)
        configured = Stamp.latest(configured, other.configured)
        Fact.merge(&run, other.run)
        Fact.merge(&crash, other.crash)
        Fact.merge(&ready, other.ready)
        Fact.merge(&health, other.health)
        removed = Stamp.latest(removed, other.removed)
        Fact.merge(&listed, other.listed)
    }

    /// Drops the facts from before a report.
    mutating func drop(before report: Stamp) {
        version = version?.after(report)
        installed = installed?.after(report)
        configured = configured?.after(report)
        run = run?.after(report)
        crash = crash?.after(report)
        ready = ready?.after(report)
        health = health?.after(report)
        removed = removed?.after(report)
        listed = listed?.after(report)
    }

    /// The approximate size of a record without its texts, in bytes.
    static let ownBytes = 512

    /// The approximate size of the record with its name, in bytes.
    func bytes(_ name: String) -> Int {
        var bytes = Self.ownBytes + name.utf8.count + (version?.value.utf8.count ?? 0)
        bytes += (crash?.value.error.utf8.count ?? 0) + (listed?.value.error?.utf8.count ?? 0)
        bytes += listed?.value.usage?.bytes ?? 0
        bytes += (health?.value?.utf8.count ?? 0) + (listed?.value.works.bytes ?? 0)
        if case .stopped(let reason, _, let error) = run?.value {
            bytes += reason.utf8.count + (error?.utf8.count ?? 0)
        }
        if case .finished(let error, _) = run?.value { bytes += error?.utf8.count ?? 0 }
        return bytes
    }

    /// Whether nothing was applied.
    var isEmpty: Bool { self == ToolRecord() }

    // MARK: What follows from the facts

    /// Whether it runs, is to run, or has failed: its node's end stops it.
    ///
    /// - Parameter complete: the time of the newest complete list of its node.
    func isActive(_ complete: Stamp?) -> Bool {
        guard removal(complete) == nil else { return false }
        let start = start(complete)
        return Self.endsWithItsNode(doing(Self.since(start, run), Self.since(start, listed)).state)
    }

    private static func endsWithItsNode(_ state: MeshState.Tool.State) -> Bool {
        switch state {
        case .running, .starting, .backingOff, .failed: true
        case .installed, .stopped, .removed: false
        }
    }

    /// When it was removed; `nil` when it was not, or was installed again. For a tool that its node no longer lists, the
    /// time at which it was last known.
    ///
    /// - Parameter complete: the time of the newest complete list of its node.
    func removal(_ complete: Stamp?) -> Timestamp? {
        // `tool.stopped` and `tool.crashed` may arrive after the removal, so they are no sign of a new installation.
        let started = run?.value == .started ? run?.stamp : nil
        let life = Stamp.latest(Stamp.latest(installed, configured), Stamp.latest(started, listed?.stamp))
        if let removed, life.map({ $0 <= removed }) ?? true { return removed.at }
        guard let complete, let known = Stamp.latest(life, run?.stamp), known < complete else { return nil }
        return known.at
    }

    /// When it was removed before it was installed again: earlier facts do not count. `nil` when it never was.
    private func start(_ complete: Stamp?) -> Stamp? {
        let isListed = complete.map { complete in listed.map { complete <= $0.stamp } ?? false } ?? true
        return isListed ? removed : Stamp.latest(removed, complete)
    }

    /// The fact, unless it is from before the start.
    private static func since<Value>(_ start: Stamp?, _ fact: Fact<Value>?) -> Fact<Value>? {
        guard let fact, let start else { return fact }
        return fact.stamp < start ? nil : fact
    }

    private func doing(_ run: Fact<Run>?, _ listed: Fact<Listed>?) -> Doing {
        if let listed, let state = listed.value.state, run.map({ $0.stamp <= listed.stamp }) ?? true {
            var doing = Doing(state: state, stamp: listed.stamp)
            doing.since = listed.value.age.map { listed.stamp.at.subtracting($0) }
            if state == .running || state == .starting { doing.usage = listed.value.usage }
            // A list gives no reasons: that of the event holds as long as the state is the same.
            if case .stopped(let reason, let failed, _) = run?.value, state == (failed ? .failed : .stopped) {
                doing.reason = reason
            }
            if case .finished(let error, _) = run?.value, state == (error == nil ? .stopped : .failed) {
                doing.reason = Self.finishedReason
            }
            (doing.next, doing.text) = (listed.value.next, listed.value.works.text)
            return doing
        }
        guard let run else {
            return Doing(state: .installed, since: (installed ?? configured)?.at, stamp: installed ?? configured)
        }
        var doing = Doing(state: .running, since: run.stamp.at, stamp: run.stamp)
        switch run.value {
        case .started: break
        case .crashed(let failed): doing.state = failed ? .failed : .backingOff
        case .stopped(let reason, let failed, let error):
            (doing.state, doing.reason, doing.error) = (failed ? .failed : .stopped, reason, error)
        case .finished(let error, let next):
            (doing.state, doing.reason) = (error == nil ? .stopped : .failed, Self.finishedReason)
            (doing.error, doing.next) = (error, next)
        }
        return doing
    }

    /// The restarts and the error, by the newer of the last crash and the last list, with the time of that fact.
    private func trouble(
        _ run: Fact<Run>?,
        _ crash: Fact<Crash>?,
        _ listed: Fact<Listed>?
    ) -> (restarts: Int, error: String?, stamp: Stamp)? {
        if let listed, crash.map({ $0.stamp <= listed.stamp }) ?? true {
            let said = (restarts: listed.value.restarts, error: listed.value.error, stamp: listed.stamp)
            guard let run, run.value == .started, listed.stamp < run.stamp else { return said }
            // It was started after the list: again after a crash, or on request, which counts from 0.
            switch listed.value.state {
            case .backingOff: return (said.restarts < .max ? said.restarts + 1 : said.restarts, said.error, run.stamp)
            case .starting, nil: return said
            case .installed, .running, .failed, .stopped, .removed: return (0, nil, run.stamp)
            }
        }
        guard let crash else { return nil }
        let count = crash.value.restartCount
        // A `tool.crashed` already counts the restart that may follow.
        let restarts =
            switch run?.value {
            case .crashed, .stopped(_, failed: true, _): max(0, count - 1)
            case .started, .stopped, .finished, nil: count
            }
        return (restarts, crash.value.error, crash.stamp)
    }

    // MARK: The view

    /// Sets whether a tool that runs works, by the newer of its events and the list. What was said before its last start
    /// was said of another process.
    private func describeWorks(
        of tool: inout MeshState.Tool,
        _ run: Fact<Run>?,
        _ listed: Fact<Listed>?,
        _ start: Stamp?
    ) {
        let begin = Stamp.latest(run?.stamp, start)
        func isOfThisRun(_ stamp: Stamp) -> Bool { begin.map { $0 <= stamp } ?? true }
        func isNewer(_ fact: Stamp?, than list: Fact<Listed>?) -> Bool {
            guard let fact, isOfThisRun(fact) else { return false }
            return list.map { $0.stamp < fact } ?? true
        }
        let list = listed.flatMap { isOfThisRun($0.stamp) ? $0 : nil }
        tool.statusText = list?.value.works.text
        tool.isReady = isNewer(ready?.stamp, than: list) ? ready?.value ?? true : list?.value.works.isReady ?? true
        if let health, isNewer(health.stamp, than: list) {
            tool.unhealthyReason = health.value
            tool.unhealthySince = health.value == nil ? nil : health.stamp.at
        } else if let list, let reason = list.value.works.unhealthy {
            tool.unhealthyReason = reason
            tool.unhealthySince = list.value.works.age.map { list.stamp.at.subtracting($0) }
        }
    }

    /// The public view of the tool.
    ///
    /// - Parameters:
    ///   - complete: the time of the newest complete list of its node.
    ///   - ending: when and why all tools of the node last ended.
    ///   - isUncertain: whether the node is unreachable.
    func view(
        _ name: String,
        node: String,
        complete: Stamp?,
        ending: (stamp: Stamp, reason: String)?,
        isUncertain: Bool
    ) -> MeshState.Tool {
        let (removal, start) = (removal(complete), start(complete))
        let isOver = { (stamp: Stamp?) in ending.map { ending in stamp.map { $0 < ending.stamp } ?? false } ?? false }
        let run = Self.since(start, run)
        let (crash, listed) =
            removal == nil ? (Self.since(start, crash), Self.since(start, listed)) : (crash, listed)
        var tool = MeshState.Tool(name: name, node: node, version: version?.value, state: .installed)
        tool.isUncertain = isUncertain && removal == nil
        if let trouble = trouble(run, crash, listed) {
            tool.lastError = trouble.error
            tool.restartCount = isOver(trouble.stamp) ? 0 : trouble.restarts
        }
        if let removal {
            (tool.state, tool.since) = (.removed, removal)
            tool.lastCrashAt = tool.lastError == nil ? nil : crash?.stamp.at
            return tool
        }
        let doing = doing(run, listed)
        if let error = doing.error { tool.lastError = error }
        if tool.lastError != nil {
            // Without its event, the time of a crash is that at which the state began.
            let isTroubled = doing.state == .backingOff || doing.state == .failed
            tool.lastCrashAt = crash?.stamp.at ?? (isTroubled ? doing.since : nil)
        }
        (tool.state, tool.since, tool.stopReason) = (doing.state, doing.since, doing.reason)
        tool.nextStart = doing.next
        if let ending, isOver(doing.stamp), Self.endsWithItsNode(doing.state) {
            (tool.state, tool.since, tool.stopReason) = (.stopped, ending.stamp.at, ending.reason)
        } else {
            tool.usage = doing.usage?.usage
        }
        if tool.state == .running {
            describeWorks(of: &tool, run, Self.since(start, listed), start)
        } else {
            tool.statusText = doing.text
        }
        // A node that has left starts nothing.
        if isOver(doing.stamp) { (tool.nextStart, tool.statusText) = (nil, nil) }
        return tool
    }
}
