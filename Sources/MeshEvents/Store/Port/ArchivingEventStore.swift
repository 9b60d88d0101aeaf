/// A store whose stream may have an archive: a second stream that keeps messages when the first one has dropped them.
///
/// ``EventHistory`` reads the archive where the stream does not reach. Replays and durable subscriptions read the stream
/// alone.
public protocol ArchivingEventStore: EventStore {
    /// The archive of the stream, for reading. Its messages have the subjects, sequences, times and header fields that
    /// they have in the stream.
    ///
    /// - Parameter created: when the stream was created.
    /// - Returns: `nil` when there is no archive, when it belongs to a former stream of that name, and when the user may
    ///   not read it.
    func archive(ofStreamCreated created: Timestamp?) async throws(MeshEventsError) -> (any EventStore)?
}

/// The limits of an archive. The server drops what exceeds one of them, the oldest messages first.
///
/// The number of messages of each type keeps frequent types from pushing rare ones out: a mesh of ten nodes emits
/// 86 400 health events a day.
public struct ArchiveConfiguration: Sendable, Hashable {
    /// When opening a stream creates its archive.
    public enum Creation: Sendable, Hashable {
        /// Whenever the stream has none. The default.
        case always
        /// Only together with the stream.
        case withStream
    }

    /// How long an event is kept; `nil` for ever. Default 7 days.
    public var maximumAge: Duration?
    /// How many events of each type are kept; `nil` for any number. Default 20 000.
    public var maximumMessagesOfType: Int?
    /// How many events are kept in all; `nil` for any number. Default 500 000.
    public var maximumMessages: Int?
    /// When opening the stream creates the archive.
    public var creation: Creation

    /// Creates limits; the defaults keep the crashes of a week on a mesh of ten nodes.
    public init(
        maximumAge: Duration? = Self.standardAge,
        maximumMessagesOfType: Int? = 20_000,
        maximumMessages: Int? = 500_000,
        creation: Creation = .always
    ) {
        self.maximumAge = maximumAge
        self.maximumMessagesOfType = maximumMessagesOfType
        self.maximumMessages = maximumMessages
        self.creation = creation
    }

    /// How long an archive keeps events by default: 7 days.
    public static let standardAge: Duration = .seconds(7 * 24 * 60 * 60)

    /// Limits for events of this age: for a longer time than the default, the numbers of events grow with it.
    ///
    /// - Parameter age: how long to keep events; `nil` for ever, with the default's numbers of events.
    public static func keeping(_ age: Duration?) -> ArchiveConfiguration {
        var configuration = ArchiveConfiguration(maximumAge: age)
        guard let age, age > standardAge else { return configuration }
        let days = Int(clamping: age.components.seconds / 86_400) + 1
        func grown(_ number: Int?) -> Int? { number.map { $0 / 7 * min(days, 1_000_000) } }
        configuration.maximumMessagesOfType = grown(configuration.maximumMessagesOfType)
        configuration.maximumMessages = grown(configuration.maximumMessages)
        return configuration
    }

    /// The names that an archive of a stream may have. The second one is for the archive of a stream that was deleted
    /// and created again: the first name then belongs to the archive of the former stream.
    ///
    /// - Parameter stream: the stream's name.
    public static func streamNames(for stream: String) -> [String] {
        let name = stream == PersistentEventBus.Configuration().streamName ? "MESH_ARCHIVE" : "\(stream)_ARCHIVE"
        return [name, "\(name)_2"]
    }

    /// Throws `invalidArgument` for a value outside its range.
    package func validate() throws(MeshEventsError) {
        guard maximumAge.map({ $0 > .zero && $0 <= PersistentEventBus.Configuration.longest }) ?? true else {
            throw MeshEventsError(
                .invalidArgument,
                "the archive's maximum age must be positive and at most 285 years, or nil for no limit"
            )
        }
        guard [maximumMessagesOfType, maximumMessages].allSatisfy({ $0.map { $0 > 0 } ?? true }) else {
            throw MeshEventsError(
                .invalidArgument,
                "the archive's numbers of messages must be positive, or nil for no limit"
            )
        }
    }
}

/// The result of opening a stream's archive.
public enum ArchiveOpening: Sendable, Hashable {
    /// It was created.
    case created
    /// It was there; its limits stay as they are.
    case found
    /// It could not be created, for this reason. The stream is open nevertheless.
    case unavailable(String)
}
