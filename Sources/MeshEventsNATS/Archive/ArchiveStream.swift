import MeshEvents
import NATSClient

/// How the archive of an event stream is configured: as a mirror of it, so that messages keep their sequences and times.
///
/// Its description holds when the event stream was created. A mirror does not notice that the stream was deleted and
/// created again; by the description readers notice it.
enum ArchiveStream {
    /// The configuration of a new archive.
    static func configuration(
        named name: String,
        of stream: StreamInformation,
        _ limits: ArchiveConfiguration
    ) -> StreamConfiguration {
        let origin = stream.configuration
        var archive = StreamConfiguration(fields: [
            "name": .string(name),
            "description": .string(description(of: stream)),
            "mirror": .object(["name": .string(origin.name)]),
            "retention": "limits",
            "discard": "old",
            "storage": .string((origin.storage ?? .file).rawValue),
        ])
        archive.replicas = origin.replicas
        archive.limit(to: limits)
        return archive
    }

    /// Whether a server of this version fills an archive. Before 2.11.5 a mirror refuses the messages of which the sender
    /// has named the stream (`Nats-Expected-Stream`), as this package does, and then stores others under wrong sequences.
    static func isFilled(byServer version: String) -> Bool {
        let numbers = version.split { $0 == "." || $0 == "-" }.prefix(3).compactMap { Int($0) }
        return numbers.count == 3 && !numbers.lexicographicallyPrecedes([2, 11, 5])
    }

    /// Whether a stream is the archive of this event stream, as it was created last.
    static func isArchive(_ archive: StreamInformation, of stream: Timestamp?) -> Bool {
        guard let origin = origin(of: archive), let stream else { return false }
        return origin == stream
    }

    /// When the event stream of an archive was created; `nil` when the stream is no archive.
    static func origin(of archive: StreamInformation) -> Timestamp? {
        guard archive.configuration.fields["mirror"] != nil,
            case .string(let text)? = archive.configuration.fields["description"],
            let range = text.firstRange(of: creation)
        else { return nil }
        return try? Timestamp(rfc3339: String(text[range.upperBound...]))
    }

    private static let creation = ", created "

    private static func description(of stream: StreamInformation) -> String {
        "archive of \(stream.configuration.name)\(creation)\(stream.created ?? "")"
    }
}

extension StreamConfiguration {
    /// The number of messages of each subject; `nil` for any number.
    var maximumMessagesOfSubject: Int64? {
        guard case .integer(let limit)? = fields["max_msgs_per_subject"], limit > 0 else { return nil }
        return limit
    }

    /// Takes over the limits of an archive; other fields stay as they are.
    mutating func limit(to limits: ArchiveConfiguration) {
        fields["max_age"] = .integer(0)
        if let age = limits.maximumAge { maximumAge = age }
        maximumMessages = limits.maximumMessages.map(Int64.init) ?? -1
        fields["max_msgs_per_subject"] = .integer(limits.maximumMessagesOfType.map(Int64.init) ?? -1)
    }
}

extension ArchiveConfiguration {
    /// The limits of an archive's stream.
    init(_ stream: StreamConfiguration) {
        self.init(
            maximumAge: stream.maximumAge,
            maximumMessagesOfType: stream.maximumMessagesOfSubject.map { Int(clamping: $0) },
            maximumMessages: stream.maximumMessages.map { Int(clamping: $0) }
        )
    }
}
