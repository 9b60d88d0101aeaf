import MeshAlerts
import MeshEvents
import MeshMonitoring

extension MeshAgentTools {
    /// `alerts`.
    var alerts: AgentTool {
        AgentTool(
            name: "alerts",
            title: "Alerts that fire",
            description: """
                The alerts that fire now, the worst first, with those that are acknowledged or silenced; and whether a process \
                watches for them.
                """,
            fields: [
                AgentField("node", .text(atMost: Self.longestName), "Only alerts about this node."),
                AgentField("severity", .word(AlertSeverity.allCases.map(\.rawValue)), "Only alerts of this severity."),
            ],
            run: { arguments, _ in try await firing(arguments) }
        )
    }

    private func firing(_ arguments: AgentArguments) async throws -> AgentAnswer {
        let overview = try await link.alerts()
        var sightings = LeaseSightings()
        let moment = AlertsAtMoment(overview, sightings.take(overview.lease))
        var firing = overview.firing
        if let node = arguments.text("node") { firing.removeAll { $0.alert.group["node"] != node } }
        if let severity = arguments.text("severity") { firing.removeAll { $0.alert.severity.rawValue != severity } }
        var data = UntrustedData()
        let values = firing.compactMap { try? EventData(json: AlertReading.json($0)).value }
        let count = data.add("alerts", list: values, reserve: 8 << 10)
        data.add("watcher", AlertReading.json(moment.watcher, isLost: moment.isLost))
        data.add("notes", list: AlertReading.notes(overview, now: .now).map { .string($0) })
        var words: [OwnWords] = [count == 0 ? "No alert fires." : "\(firing.count) alerts fire; \(count) are listed."]
        if overview.position == nil || moment.watcher == nil || moment.isLost {
            words.append("No process watches the alerts: that nothing fires says nothing.")
        }
        return AgentAnswer(words, data)
    }
}
