/// A type of your own that is sent as the data of one type of event.
///
/// A `Codable` structure only needs the event's type:
///
/// ```swift
/// struct TrainingComplete: EventPayload, Codable {
///     static let eventType: EventType = "user.training.complete"
///     var epochs: Int
///     var loss: Double
/// }
/// try bus.emit(TrainingComplete(epochs: 100, loss: 0.023))
/// ```
///
/// Foundation's JSON coders take some microseconds an event. A payload that is emitted very often can write and read
/// itself, in a fraction of that time:
///
/// ```swift
/// struct Reading: EventPayload {
///     static let eventType: EventType = "user.reading"
///     var celsius: Double
///
///     init(eventData: EventData) throws(MeshEventsError) {
///         guard let celsius = eventData["celsius"]?.double else {
///             throw MeshEventsError(.invalidData, "a reading needs the number 'celsius'")
///         }
///         self.celsius = celsius
///     }
///
///     func write(to data: inout EventDataWriter) {
///         data.write("celsius", celsius)
///     }
/// }
/// ```
public protocol EventPayload: Sendable {
    /// The type of the events that carry this payload.
    static var eventType: EventType { get }

    /// Reads the payload from an event's data.
    ///
    /// - Throws: `invalidData` when the data does not fit.
    init(eventData: EventData) throws(MeshEventsError)

    /// Writes the payload as the members of an event's data.
    ///
    /// It may be called more than once for one event, and must write the same each time.
    ///
    /// - Throws: `invalidData` when there is no JSON object for it.
    func write(to data: inout EventDataWriter) throws(MeshEventsError)
}

extension EventPayload {
    /// The payload as an event's data.
    ///
    /// - Throws: `invalidData` when JSON cannot express its values, and what ``write(to:)`` throws.
    public func eventData() throws(MeshEventsError) -> EventData {
        var failure: MeshEventsError?
        let data = EventData { writer in
            do throws(MeshEventsError) {
                try EventDataWriter.write(self, to: &writer)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        try data.validate()
        return data
    }
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
    public func write(to data: inout EventDataWriter) throws(MeshEventsError) {
        data.write(membersOf: try EventData(encoding: self))
    }
}
