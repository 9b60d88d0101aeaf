extension PersistentEventBus {
    /// The configuration of the stream that stores the mesh's events.
    ///
    /// The defaults are those of the Go implementation, field for field, so that a Go node can open the same stream:
    /// the server answers error 10058 when any field differs. A Go node can be given another name, age and number of
    /// messages only. When you change other fields, it cannot open the stream.
    public struct Configuration: Sendable, Hashable {
        /// Where a stream is kept.
        public enum Storage: String, Sendable, Hashable, CaseIterable {
            /// On disk.
            case file
            /// In the server's memory: lost when the server stops.
            case memory
        }

        /// What opening does when the stream exists with another configuration.
        public enum Reconciliation: Sendable, Hashable {
            /// Uses it as it is and reports the differences. The default.
            case keep
            /// Changes it to this configuration; throws `streamMismatch` for a field that cannot be changed (the
            /// storage).
            case update
            /// Throws `streamMismatch`, naming the differences.
            case fail
        }

        /// The stream's name.
        public var streamName: String
        /// How long an event is kept; `nil` for ever. Default 24 hours.
        public var maximumAge: Duration?
        /// How many events are kept; `nil` for any number. Default 10 000.
        public var maximumMessages: Int?
        /// How many bytes are kept, as the server counts them; `nil`, the default, for any number.
        public var maximumBytes: Int?
        /// Where the stream is kept. Default on disk.
        public var storage: Storage
        /// How many servers of a cluster hold the stream, 1 to 5; with 3 it survives the loss of one. Default 1.
        public var replicas: Int
        /// The duplicate window: how long the server remembers message ids, so that an event sent twice is stored once.
        /// `nil`, the default, for the server's: 2 minutes, or the maximum age when that is shorter.
        public var duplicateWindow: Duration?
        /// What opening does when the stream exists with another configuration.
        public var reconcile: Reconciliation
        /// How long ``PersistentEventBus/emit(_:)-(Event)`` keeps trying before it throws `timeout`. Default 30
        /// seconds.
        public var acknowledgementDeadline: Duration
        /// How many events of a batch may wait for their acknowledgement before emitting suspends, from 1. Default
        /// 4 096.
        public var acknowledgementWindow: Int
        /// The limits of the archive to create when the stream has none; `nil`, the default, creates none. The history
        /// reads an archive that exists in any case. Stores that are no ``ArchivingEventStore`` ignore it.
        public var archive: ArchiveConfiguration?

        /// Creates a configuration; the defaults are those of the mesh.
        public init(
            streamName: String = "MESH_EVENTS",
            maximumAge: Duration? = .seconds(24 * 60 * 60),
            maximumMessages: Int? = 10_000,
            maximumBytes: Int? = nil,
            storage: Storage = .file,
            replicas: Int = 1,
            duplicateWindow: Duration? = nil,
            reconcile: Reconciliation = .keep,
            acknowledgementDeadline: Duration = .seconds(30),
            acknowledgementWindow: Int = 4096,
            archive: ArchiveConfiguration? = nil
        ) {
            self.streamName = streamName
            self.maximumAge = maximumAge
            self.maximumMessages = maximumMessages
            self.maximumBytes = maximumBytes
            self.storage = storage
            self.replicas = replicas
            self.duplicateWindow = duplicateWindow
            self.reconcile = reconcile
            self.acknowledgementDeadline = acknowledgementDeadline
            self.acknowledgementWindow = acknowledgementWindow
            self.archive = archive
        }

        /// Servers count nanoseconds in 64 bits.
        static let longest: Duration = .seconds(9_000_000_000)

        /// Throws `invalidArgument` for a value outside its range.
        package func validate() throws(MeshEventsError) {
            func check(_ isValid: Bool, _ message: String) throws(MeshEventsError) {
                guard isValid else { throw MeshEventsError(.invalidArgument, message) }
            }
            try check(
                maximumAge.map { $0 > .zero && $0 <= Self.longest } ?? true,
                "the maximum age must be positive and at most 285 years, or nil for no limit"
            )
            try check(
                maximumMessages.map { $0 >= 0 } ?? true,
                "the maximum number of messages must not be negative; nil or 0 is no limit"
            )
            try check(
                maximumBytes.map { $0 > 0 } ?? true,
                "the maximum number of bytes must be positive, or nil for no limit"
            )
            try check((1...5).contains(replicas), "a stream has 1 to 5 replicas, not \(replicas)")
            try check(
                duplicateWindow.map { $0 >= .milliseconds(100) } ?? true,
                "the duplicate window must be at least 100 ms, or nil for the server's default"
            )
            if let duplicateWindow, let maximumAge {
                try check(duplicateWindow <= maximumAge, "the duplicate window must not be longer than the maximum age")
            }
            try check(acknowledgementWindow > 0, "the acknowledgement window must be at least 1")
            try archive?.validate()
        }
    }
}
