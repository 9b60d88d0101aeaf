/// A type of your own that travels as the data of one type of event.
///
/// A `Codable` structure needs nothing but the event's type:
///
/// ```swift
/// struct TrainingComplete: EventPayload, Codable {
///     static let eventType: EventType = "user.training.complete"
///     var epochs: Int
///     var loss: Double
/// }
/// try bus.emit(TrainingComplete(epochs: 100, loss: 0.023))
/// ```
public protocol EventPayload: Sendable {
    /// The type of the events that carry this payload.
    static var eventType: EventType { get }

    /// Reads the payload from an event's data.
    ///
    /// - Throws: `invalidData` when the data does not fit.
    init(eventData: EventData) throws(MeshEventsError)

    /// Writes the payload as an event's data.
    ///
    /// - Throws: `invalidData` when there is no JSON object for it.
    func eventData() throws(MeshEventsError) -> EventData
}

extension EventPayload where Self: Decodable {
    /// Reads the payload with Foundation's JSON decoder.
    ///
    /// - Throws: `invalidData` when the data does not fit.
    public init(eventData: EventData) throws(MeshEventsError) { self = try eventData.decode(as: Self.self) }
}

extension EventPayload where Self: Encodable {
    /// Writes the payload with Foundation's JSON encoder.
    ///
    /// - Throws: `invalidData` when it does not encode as an object.
    public func eventData() throws(MeshEventsError) -> EventData { try EventData(encoding: self) }
}
