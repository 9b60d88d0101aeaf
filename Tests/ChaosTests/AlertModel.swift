import MeshEvents

/// What the rules of a schedule demand of the events in a stream. It shares no code with what is tested, and it knows these
/// rules only.
struct AlertModel {
    /// A firing that has to be told, and whether it is over.
    struct Firing: Hashable, CustomStringConvertible {
        var rule: String
        var group: String
        /// When the first of its events was stored.
        var since: Timestamp
        /// When it fired.
        var at: Timestamp
        var isOver = false

        var description: String { "\(rule) of \(group.isEmpty ? "all" : group) since \(since)" }
    }

    /// The rules as a file has them; `hook` and `digest` are two targets at the same receiver.
    ///
    /// - Parameters:
    ///   - port: the receiver's.
    ///   - timeout: how long an answer may take.
    static func configuration(_ port: Int, timeout: String) -> String {
        """
        notify:
          hook: {webhook: "http://127.0.0.1:\(port)/hook", window: 0s, limit: 100000, timeout: \(timeout)}
          digest: {webhook: "http://127.0.0.1:\(port)/digest", window: 600ms, limit: 100000, timeout: \(timeout)}
        alerts:
          - {name: down, when: tool.crashed, resolve: tool.started, to: [hook, digest]}
          - {name: flapping, when: tool.crashed, count: 3, within: 1500ms, resolve: tool.stopped, to: [digest]}
          - {name: hot, when: user.heat, where: {level: "> 0.9"}, for: 1s, group: [sensor], to: [hook]}
          - {name: beat, missing: user.beat, every: 1200ms, to: [hook, digest]}
        """
    }

    /// The rules of which a target is told.
    static let rules = ["hook": ["down", "hot", "beat"], "digest": ["down", "flapping", "beat"]]

    /// A group as ``Firing`` has it.
    static func group(_ group: EventData) -> String {
        if let sensor = group["sensor"]?.string { return sensor }
        guard let tool = group["tool"]?.string, let node = group["node"]?.string else { return "" }
        return "\(node)/\(tool)"
    }

    private static let (count, within) = (3, Duration.milliseconds(1_500))
    private static let heat: Duration = .seconds(1)
    private static let every: Duration = .milliseconds(1_200)

    private(set) var firings: [Firing] = []
    /// The firing that is not over, by rule and group.
    private var open: [String: Int] = [:]
    private var crashes: [String: [Timestamp]] = [:]
    private var heats: [String: (first: Timestamp, last: Timestamp)] = [:]
    private var beat: Timestamp?

    /// Takes in all events of a stream; after the last no further one comes.
    init(_ events: [StoredEvent]) {
        for stored in events.sorted(by: { $0.sequence < $1.sequence }) { take(stored) }
        for sensor in heats.keys { confirm(sensor, before: nil) }
        if let beat { fire("beat", "", since: beat, at: beat.adding(Self.every)) }
        firings.sort { $0.at < $1.at }
    }

    private mutating func take(_ stored: StoredEvent) {
        let (event, time) = (stored.event, stored.storedAt)
        let tool = "\(event.node)/\(event.data["tool"]?.string ?? "")"
        switch event.type {
        case .toolCrashed:
            fire("down", tool, since: time, at: time)
            guard open["flapping \(tool)"] == nil else { break }
            let last = Array((crashes[tool, default: []] + [time]).suffix(Self.count))
            crashes[tool] = last
            if last.count == Self.count, time.duration(since: last[0]) <= Self.within {
                fire("flapping", tool, since: last[0], at: time)
            }
        case .toolStarted: end("down", tool)
        case .toolStopped:
            end("flapping", tool)
            crashes[tool] = nil
        case "user.heat":
            let sensor = event.data["sensor"]?.string ?? ""
            confirm(sensor, before: time)
            if event.data["level"]?.double ?? 0 > 0.9 {
                heats[sensor] = (heats[sensor]?.first ?? time, time)
                let first = heats[sensor]?.first ?? time
                if time.duration(since: first) >= Self.heat { fire("hot", sensor, since: first, at: time) }
            } else {
                heats[sensor] = nil
                end("hot", sensor)
            }
        case "user.beat":
            if let beat, time.duration(since: beat) >= Self.every {
                fire("beat", "", since: beat, at: beat.adding(Self.every))
            }
            end("beat", "")
            beat = time
        default: break
        }
    }

    /// Has a sensor fire that was hot for long enough, and was seen in the second half of that time.
    private mutating func confirm(_ sensor: String, before time: Timestamp?) {
        guard let (first, last) = heats[sensor], last.duration(since: first) >= Self.heat / 2 else { return }
        let due = first.adding(Self.heat)
        if time.map({ due <= $0 }) ?? true { fire("hot", sensor, since: first, at: due) }
    }

    private mutating func fire(_ rule: String, _ group: String, since: Timestamp, at: Timestamp) {
        guard open["\(rule) \(group)"] == nil else { return }
        open["\(rule) \(group)"] = firings.count
        firings.append(Firing(rule: rule, group: group, since: since, at: at))
    }

    private mutating func end(_ rule: String, _ group: String) {
        if let number = open.removeValue(forKey: "\(rule) \(group)") { firings[number].isOver = true }
    }
}
