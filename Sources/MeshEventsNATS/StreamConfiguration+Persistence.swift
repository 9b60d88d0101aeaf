import MeshEvents
import NATSClient

extension StreamConfiguration {
    /// Makes the stream of a persistence configuration, with the server's defaults for everything else. Fields that are
    /// not asked for are not sent, so that the default stays the same as the Go implementation's.
    init(_ configuration: PersistenceConfiguration) throws(MeshEventsError) {
        try configuration.validate()
        self.init(
            name: configuration.streamName,
            subjects: [EventPattern.all.subject],
            storage: Storage(rawValue: configuration.storage.rawValue) ?? .file
        )
        maximumAge = configuration.maximumAge
        maximumMessages = configuration.maximumMessages.map(Int64.init)
        maximumBytes = configuration.maximumBytes.map(Int64.init)
        duplicateWindow = configuration.duplicateWindow
        replicas = configuration.replicas
    }

    /// This stream with the settings of a persistence configuration; other fields stay as they are.
    func updated(_ configuration: PersistenceConfiguration) -> StreamConfiguration {
        var stream = self
        stream.subjects = [EventPattern.all.subject]
        stream.fields["max_age"] = .integer((configuration.maximumAge ?? .zero).wholeNanoseconds)
        stream.maximumMessages = configuration.maximumMessages.map(Int64.init) ?? -1
        stream.maximumBytes = configuration.maximumBytes.map(Int64.init) ?? -1
        stream.replicas = configuration.replicas
        if let window = configuration.duplicateWindow {
            stream.duplicateWindow = window
        } else if let age = configuration.maximumAge, let window = duplicateWindow, window > age {
            // The server requires that ids are not remembered longer than events.
            stream.duplicateWindow = age
        }
        return stream
    }
}

extension PersistenceConfiguration {
    /// Converts a stream's configuration.
    init(_ stream: StreamConfiguration) {
        self.init(
            streamName: stream.name,
            maximumAge: stream.maximumAge,
            maximumMessages: stream.maximumMessages.map(Int.init),
            maximumBytes: stream.maximumBytes.map(Int.init),
            storage: stream.storage.flatMap { Storage(rawValue: $0.rawValue) } ?? .file,
            replicas: stream.replicas,
            duplicateWindow: stream.duplicateWindow
        )
    }
}

extension Duration {
    /// Whole nanoseconds; durations beyond 292 years are cut.
    fileprivate var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = min(max(self, .seconds(-9_000_000_000)), .seconds(9_000_000_000)).components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
