import MeshEvents

/// Compares what was stored and told of alerts with what the events demand.
struct AlertVerdict: Sendable {
    /// A report in the stream.
    private struct Stored {
        var id: String
        var isFiring: Bool
        var firing: AlertModel.Firing
    }

    /// What the events demand.
    let model: AlertModel
    /// What is not stored or not told yet, of what they demand.
    private(set) var missing: [String] = []
    /// What must not be.
    private(set) var problems: [String] = []
    /// How many reports were told, each counted once for a target.
    private(set) var told = 0
    /// How often reports came again.
    private(set) var repeats = 0

    /// Checks what there is so far.
    ///
    /// - Parameters:
    ///   - events: the whole stream.
    ///   - recorded: what the receiver got.
    ///   - isCalm: whether nothing failed, so that nothing may come twice.
    init(_ events: [StoredEvent], _ recorded: [AlertRecorder.Told], isCalm: Bool) throws {
        model = AlertModel(events.filter { !$0.event.type.rawValue.hasPrefix("alert.") })
        let reports = try events.compactMap { try Self.report($0.event) }
        checkStored(reports)
        for (target, rules) in AlertModel.rules.sorted(by: { $0.key < $1.key }) {
            let demanded = reports.filter { rules.contains($0.firing.rule) }
            check(target, demanded, recorded.filter { $0.target == target }, isCalm)
        }
    }

    private static func report(_ event: Event) throws -> Stored? {
        let (alert, isFiring): (AlertDescription, Bool)
        switch event.type {
        case .alertFired: (alert, isFiring) = (try AlertFired(eventData: event.data).alert, true)
        case .alertResolved: (alert, isFiring) = (try AlertResolved(eventData: event.data).alert, false)
        default: return nil
        }
        let firing = AlertModel.Firing(
            rule: alert.rule,
            group: AlertModel.group(alert.group),
            since: alert.since,
            at: .epoch
        )
        return Stored(id: alert.id, isFiring: isFiring, firing: firing)
    }

    /// Each report is stored once, and those that are demanded only.
    private mutating func checkStored(_ reports: [Stored]) {
        var demanded: [String: Int] = [:]
        for firing in model.firings {
            demanded["firing \(firing)"] = 0
            if firing.isOver { demanded["resolved \(firing)"] = 0 }
        }
        var ids: [String: String] = [:]
        for report in reports {
            let name = "\(report.isFiring ? "firing" : "resolved") \(report.firing)"
            if let count = demanded[name] {
                demanded[name] = count + 1
            } else {
                problems.append("\(name) was stored, and nothing demands it")
            }
            if let other = ids.updateValue(report.id, forKey: "\(report.firing)"), other != report.id {
                problems.append("\(report.firing) has the ids \(other) and \(report.id)")
            }
        }
        for (name, count) in demanded.sorted(by: { $0.key < $1.key }) {
            if count == 0 { missing.append("\(name) was not stored") }
            if count > 1 { problems.append("\(name) was stored \(count) times") }
        }
    }

    private mutating func check(
        _ target: String,
        _ demanded: [Stored],
        _ recorded: [AlertRecorder.Told],
        _ isCalm: Bool
    ) {
        var notifications: [AlertRecorder.Report: Set<String>] = [:]
        var (received, answered) = ([AlertRecorder.Report: Int](), [AlertRecorder.Report: Int]())
        for told in recorded {
            if told.omitted != 0 { problems.append("\(target) was told \(told.omitted) further ones as a number") }
            for report in told.reports {
                notifications[report, default: []].insert(told.id)
                let firing = AlertRecorder.Report(id: report.id, isFiring: true)
                if !report.isFiring {
                    if received[firing] == nil { problems.append("\(target) got the end of \(report.id) first") }
                    if told.isAnswered, answered[firing] == nil {
                        problems.append("\(target) took the end of \(report.id) first")
                    }
                }
                received[report, default: 0] += 1
                if told.isAnswered { answered[report, default: 0] += 1 }
            }
        }
        told += received.count
        repeats += received.values.reduce(0) { $0 + $1 - 1 }
        for report in demanded where answered[.init(id: report.id, isFiring: report.isFiring)] == nil {
            missing.append("\(target) was not told that \(report.firing) \(report.isFiring ? "fires" : "is over")")
        }
        let known = Set(demanded.map { AlertRecorder.Report(id: $0.id, isFiring: $0.isFiring) })
        for (report, count) in received {
            let name = "\(report.id) (\(report.isFiring ? "firing" : "resolved"))"
            if !known.contains(report) { problems.append("\(target) was told \(name), which is not in the stream") }
            if isCalm, count > 1 { problems.append("\(target) was told \(name) \(count) times, and nothing failed") }
            let ids = notifications[report] ?? []
            if ids.count > 1 { problems.append("\(target) got \(name) in notifications \(ids.sorted())") }
        }
    }
}
