/// An error that the handler of a durable subscription throws to choose what happens to the event.
///
/// ```swift
/// try await persistent.subscribe(durable: "alerts", to: "events.tool.crashed") { delivery in
///     guard let tool = delivery.event.data["tool"]?.string else { throw DeliveryRefusal.terminate("no tool named") }
///     try await alert(tool)
/// }
/// ```
public enum DeliveryRefusal: Error, Sendable, Hashable {
    /// Every retry would fail: the event goes to the dead letters at once, with this reason.
    case terminate(_ reason: String)
    /// Deliver it again after this time, instead of the usual delay.
    case retry(after: Duration)
}
