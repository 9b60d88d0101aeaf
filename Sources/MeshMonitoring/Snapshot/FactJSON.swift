import MeshEvents

// Facts as JSON. A stamp is an array of the time and the sequence: `["2026-11-30T02:43:26Z", 17]`. Reading is lenient: a
// fact that is missing or of the wrong kind is unknown.

extension Stamp {
    var json: JSONValue { .array([.string(at.description), JSONValue(sequence)]) }

    init?(_ json: JSONValue?) {
        guard let parts = json?.array, parts.count == 2, let sequence = parts[1].number?.uint64,
            let text = parts[0].string, let at = try? Timestamp(rfc3339: text)
        else { return nil }
        self.init(at: at, sequence: sequence)
    }
}

extension JSONObject {
    /// Creates an object of the members that have a value.
    init(known members: [(String, JSONValue?)]) {
        self.init(members.compactMap { name, value in value.map { (name, $0) } })
    }
}

extension Fact {
    /// The fact as an object with the members of its value.
    func json(_ members: (Value) -> [(String, JSONValue?)]) -> JSONValue {
        .object(JSONObject(known: [("stamp", stamp.json)] + members(value)))
    }

    /// Reads a fact; `value` reads its value from the object.
    init?(_ json: JSONValue?, _ value: (JSONValue) -> Value?) {
        guard let json, let stamp = Stamp(json["stamp"]), let value = value(json) else { return nil }
        self.init(value: value, stamp: stamp)
    }
}

extension JSONValue {
    static func time(_ time: Timestamp) -> JSONValue { .string(time.description) }

    /// The time, if it is one.
    var time: Timestamp? { string.flatMap { try? Timestamp(rfc3339: $0) } }
}

// MARK: Tools

extension ToolRecord {
    /// The facts as an object.
    var json: JSONValue {
        .object(
            JSONObject(known: [
                ("version", version?.json { [("value", .string($0))] }),
                ("installed", installed?.json),
                ("configured", configured?.json),
                ("run", run?.json(\.members)),
                (
                    "crash",
                    crash?.json { [("error", .string($0.error)), ("restart_count", JSONValue($0.restartCount))] }
                ),
                ("ready", ready?.json { [("value", .bool($0))] }),
                ("health", health?.json { [("unhealthy", $0.map { .string($0) })] }),
                ("removed", removed?.json),
                ("listed", listed?.json(\.members)),
            ])
        )
    }

    /// Reads the facts; texts are cut to the limits of `cutter`.
    init(_ json: JSONValue, _ cutter: inout ValueCutter) {
        var cut = cutter
        defer { cutter = cut }
        version = Fact(json["version"]) { $0["value"]?.string.map { cut.cut($0) } }
        installed = Stamp(json["installed"])
        configured = Stamp(json["configured"])
        run = Fact(json["run"]) { Run($0, &cut) }
        crash = Fact(json["crash"]) { crash in
            Crash(
                error: cut.cut(crash["error"]?.string ?? ""),
                restartCount: max(0, crash["restart_count"]?.int ?? 0)
            )
        }
        ready = Fact(json["ready"]) { $0["value"]?.bool }
        health = Fact(json["health"]) { .some($0["unhealthy"]?.string.map { cut.cut($0) }) }
        removed = Stamp(json["removed"])
        listed = Fact(json["listed"]) { Listed($0, &cut) }
    }
}

extension ToolRecord.Run {
    fileprivate var members: [(String, JSONValue?)] {
        switch self {
        case .started: [("what", "started")]
        case .stopped(let reason, let failed, let error):
            [
                ("what", "stopped"), ("reason", .string(reason)), ("failed", .bool(failed)),
                ("error", error.map { .string($0) }),
            ]
        case .crashed(let failed): [("what", "crashed"), ("failed", .bool(failed))]
        case .finished(let error, let next):
            [
                ("what", "finished"), ("error", error.map { .string($0) }),
                ("next", next.map { JSONValue.time($0) }),
            ]
        }
    }

    fileprivate init?(_ json: JSONValue, _ cutter: inout ValueCutter) {
        let failed = json["failed"]?.bool ?? false
        switch json["what"]?.string {
        case "started": self = .started
        case "stopped":
            self = .stopped(
                reason: cutter.cut(json["reason"]?.string ?? ""),
                failed: failed,
                error: json["error"]?.string.map { cutter.cut($0) }
            )
        case "crashed": self = .crashed(failed: failed)
        case "finished":
            self = .finished(error: json["error"]?.string.map { cutter.cut($0) }, next: json["next"]?.time)
        default: return nil
        }
    }
}

extension ToolRecord.Listed {
    fileprivate var members: [(String, JSONValue?)] {
        [
            ("state", state.map { .string($0.rawValue) }),
            ("age_ns", age.map { JSONValue($0.wholeNanoseconds) }),
            ("restarts", JSONValue(restarts)),
            ("error", error.map { .string($0) }),
            ("usage", usage?.usage.json),
            ("not_ready", works.isReady ? nil : true),
            ("unhealthy", works.unhealthy.map { .string($0) }),
            ("unhealthy_ns", works.age.map { JSONValue($0.wholeNanoseconds) }),
            ("text", works.text.map { .string($0) }),
            ("next", next.map { JSONValue.time($0) }),
        ]
    }

    fileprivate init?(_ json: JSONValue, _ cutter: inout ValueCutter) {
        self.init(
            state: json["state"]?.string.flatMap { MeshState.Tool.State(rawValue: $0) },
            age: json["age_ns"]?.number?.int64.map { .nanoseconds(max(0, $0)) },
            restarts: max(0, json["restarts"]?.int ?? 0),
            error: json["error"]?.string.map { cutter.cut($0) },
            usage: json["usage"].flatMap { ProcessUsage(lenient: $0) }.map { StoredUsage($0) },
            works: ListedWorks(
                isReady: json["not_ready"]?.bool != true,
                unhealthy: json["unhealthy"]?.string.map { cutter.cut($0) },
                age: json["unhealthy_ns"]?.number?.int64.map { .nanoseconds(max(0, $0)) },
                text: json["text"]?.string.map { cutter.cut($0) }
            ),
            next: json["next"]?.time
        )
    }
}

extension Duration {
    fileprivate var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : whole &+ attoseconds / 1_000_000_000
    }
}

// MARK: Nodes

extension NodeRecord {
    /// The facts as an object.
    var json: JSONValue {
        let tools = tools.all.map { ($0.name, $0.value.json) }.sorted { $0.0 < $1.0 }
        return .object(
            JSONObject(known: [
                ("last_seen", .time(lastSeen)),
                ("heard_of", .bool(isKnown)),
                ("joined", joined?.json),
                ("left", left?.json { [("reason", .string($0))] }),
                ("present", present?.json),
                (
                    "health",
                    health?.json { [("status", .string($0.status)), ("resources", JSONValue($0.resources))] }
                ),
                ("health_before", healthBefore?.json),
                ("capabilities", capabilities?.json { [("value", JSONValue($0))] }),
                ("interval", claimedInterval?.json { [("seconds", JSONValue($0))] }),
                ("incarnation", incarnation?.json),
                ("complete_list", complete?.json),
                ("reports", reports == NodeReports() ? nil : reports.json),
                ("tools", tools.isEmpty ? nil : .object(JSONObject(tools))),
            ])
        )
    }

    /// Reads the facts, within the limits; `nil` when the time of the last event is missing.
    init?(_ json: JSONValue, limits: MeshState.Limits, _ leftOut: inout MeshState.LeftOut) {
        guard let lastSeen = json["last_seen"]?.time else { return nil }
        var cut = ValueCutter(limits)
        var tools: [(String, ToolRecord)] = []
        for (name, tool) in json["tools"]?.object?.elements ?? [] {
            if name.isEmpty || name.utf8.count > MeshState.Limits.nameBytes {
                leftOut.values += 1
            } else if tools.count == limits.toolsPerNode {
                leftOut.tools += 1
            } else {
                tools.append((name, ToolRecord(tool, &cut)))
            }
        }
        self.init(
            lastSeen: lastSeen,
            isKnown: json["heard_of"]?.bool ?? true,
            joined: Stamp(json["joined"]),
            left: Fact(json["left"]) { cut.cut($0["reason"]?.string ?? "") },
            present: Stamp(json["present"]),
            health: Fact(json["health"]) { health in
                Health(
                    status: cut.cut(health["status"]?.string ?? ""),
                    resources: cut.cut(EventData(health["resources"]))
                )
            },
            healthBefore: Stamp(json["health_before"]),
            capabilities: Fact(json["capabilities"]) { cut.cut(EventData($0["value"])) },
            claimedInterval: Fact(json["interval"]) { $0["seconds"]?.double.flatMap { Self.interval(claimed: $0) } },
            incarnation: Incarnation(json["incarnation"]),
            complete: Stamp(json["complete_list"]),
            reports: NodeReports(json["reports"], &cut),
            tools: tools
        )
        if cut.hasCut { leftOut.values += 1 }
    }
}

extension EventData {
    /// The data of an object; null for anything else.
    fileprivate init(_ json: JSONValue?) {
        guard let object = json?.object else {
            self = .null
            return
        }
        let data = EventData(object)
        self = (try? data.validate()) == nil ? .null : data
    }
}

extension Incarnation {
    fileprivate var json: JSONValue {
        .object(
            JSONObject(known: [
                ("instance", .string(instance)), ("start", start.json), ("joined", joined?.json),
                ("earliest_other", earliestOther?.json),
            ])
        )
    }

    fileprivate init?(_ json: JSONValue?) {
        guard let instance = json?["instance"]?.string, !instance.isEmpty, let start = Stamp(json?["start"]) else {
            return nil
        }
        self.init(
            instance: String(instance.prefix(NodeRecord.instanceLength)),
            start: start,
            joined: Stamp(json?["joined"]),
            earliestOther: Stamp(json?["earliest_other"])
        )
    }
}

extension NodeReports {
    fileprivate var json: JSONValue {
        .object(
            JSONObject(known: [
                ("unreachable", unreachable?.json { [("last_seen", $0.lastSeen.map { .time($0) })] }),
                ("recovered", recovered?.json),
                ("forgotten", forgotten?.json),
                ("maintenance", maintenance?.json { [("until", .time($0.until)), ("reason", .string($0.reason))] }),
            ])
        )
    }

    fileprivate init(_ json: JSONValue?, _ cutter: inout ValueCutter) {
        var cut = cutter
        defer { cutter = cut }
        unreachable = Fact(json?["unreachable"]) { Silence(lastSeen: $0["last_seen"]?.time) }
        recovered = Stamp(json?["recovered"])
        forgotten = Stamp(json?["forgotten"])
        maintenance = Fact(json?["maintenance"]) { maintenance in
            maintenance["until"]?.time.map {
                Maintenance(until: $0, reason: cut.cut(maintenance["reason"]?.string ?? ""))
            }
        }
    }
}
