/// Creates, changes and reports on the stream of a store.
///
/// ``PersistentEventBus/open(transport:store:node:configuration:busConfiguration:logger:)`` opens the stream of a store
/// that conforms. The stream of any other store must exist.
public protocol StreamAdministration: Sendable {
    /// Creates the stream, or opens the existing one; see ``StoreOpening`` and
    /// ``PersistentEventBus/Configuration/Reconciliation``.
    func open(_ configuration: PersistentEventBus.Configuration) async throws(MeshEventsError) -> StoreOpening

    /// A report on the stream: its messages by subject, and its consumers with their positions.
    func report() async throws(MeshEventsError) -> StreamReport

    /// Deletes the messages that match, those of an archive too, and returns how many; their sequences are not used
    /// again.
    func purge(matching pattern: EventPattern) async throws(MeshEventsError) -> UInt64
}

/// The result of opening a stream.
public struct StoreOpening: Sendable, Hashable {
    /// Whether the stream was created by this call.
    public let created: Bool
    /// Where an existing stream differs from the configuration asked for: field, asked, found.
    public let differences: [Difference]
    /// What became of the archive; `nil` when the configuration asks for none.
    public var archive: ArchiveOpening?

    /// One field of an existing stream that differs.
    public struct Difference: Sendable, Hashable, CustomStringConvertible {
        /// The field's name in the stream's configuration, e.g. `max_msgs`.
        public let field: String
        /// The value asked for, as JSON text.
        public let asked: String
        /// The value found, as JSON text.
        public let found: String

        /// Creates a difference.
        public init(field: String, asked: String, found: String) {
            self.field = field
            self.asked = asked
            self.found = found
        }

        /// `field: asked X, found Y`.
        public var description: String { "\(field): asked \(asked), found \(found)" }
    }

    /// Creates the outcome of an opening.
    public init(created: Bool, differences: [Difference], archive: ArchiveOpening? = nil) {
        self.created = created
        self.differences = differences
        self.archive = archive
    }
}

extension StoreOpening {
    /// Throws `streamMismatch` when the stream differs and the configuration does not accept that.
    package func check(_ configuration: PersistentEventBus.Configuration) throws(MeshEventsError) {
        guard !differences.isEmpty, configuration.reconcile != .keep else { return }
        let advice = configuration.reconcile == .fail ? "ask for .keep or .update" : "this cannot be changed"
        throw MeshEventsError(
            .streamMismatch,
            "the stream \(configuration.streamName) exists with another configuration; \(advice): "
                + differences.map { "\($0)" }.joined(separator: "; ")
        )
    }
}
