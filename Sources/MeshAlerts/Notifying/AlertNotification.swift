/// What a target is told at once: one alert, or several that came close together.
public struct AlertNotification: Sendable, Hashable {
    /// Its id, the same when it has to be sent again. Letters, digits and `-`, at most 64.
    public var id: String
    /// The alerts, at least one, the one that matters most first: firing before resolved, worse before less bad.
    public var alerts: [Alert]
    /// How many further alerts there are, beyond those that are listed.
    public var omitted: Int
    /// Whether this is only a test of the target (`mesh-events alert test`).
    public var isTest: Bool
    /// The address of the mesh's page, `https://…` or `http://…`; `nil` when it is not known.
    public var page: String?

    /// Creates a notification.
    public init(id: String, alerts: [Alert], omitted: Int = 0, isTest: Bool = false, page: String? = nil) {
        self.id = id
        self.alerts = alerts
        self.omitted = omitted
        self.isTest = isTest
        self.page = page
    }

    /// The severity of the worst alert that fires; of a notification that something is over, that of its worst.
    public var severity: AlertSeverity {
        let firing = alerts.filter { $0.status == .firing }
        return (firing.isEmpty ? alerts : firing).map(\.severity).max() ?? .info
    }

    /// Whether all that it reports is over.
    public var isResolved: Bool { alerts.allSatisfy { $0.status == .resolved } }
}
