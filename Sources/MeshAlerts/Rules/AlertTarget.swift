/// Where alerts are sent.
public struct AlertTarget: Sendable {
    /// The name by which rules name it.
    public var name: String
    /// Sends them.
    public var notifier: any AlertNotifier
    /// How long after a notification what comes meanwhile is gathered for the next one. Default: 10 s.
    public var window: Duration
    /// How many notifications it gets in an hour at most; what comes beyond them is gathered. From 1. Default: 60.
    public var mostPerHour: Int
    /// Whether it is told of alerts that are over only because no further event came: a system that keeps a list of
    /// alerts needs that, a person does not. Default: no.
    public var isToldOfExpiry: Bool

    /// Creates a target.
    public init(
        name: String,
        notifier: some AlertNotifier,
        window: Duration = .seconds(10),
        mostPerHour: Int = 60,
        isToldOfExpiry: Bool = false
    ) {
        self.name = name
        self.notifier = notifier
        self.window = window
        self.mostPerHour = mostPerHour
        self.isToldOfExpiry = isToldOfExpiry
    }
}
