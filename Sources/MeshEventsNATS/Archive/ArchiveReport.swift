public import MeshEvents

/// A report on the archive of an event stream.
public struct ArchiveReport: Sendable, Hashable {
    /// What the archive holds, as a stream.
    public let stream: StreamReport
    /// Its limits.
    public let limits: ArchiveConfiguration
    /// Whether it is the archive of the stream that exists now. The archive of a former one gets no more events, and the
    /// history does not read it.
    public let isOfPresentStream: Bool

    /// Creates a report.
    public init(stream: StreamReport, limits: ArchiveConfiguration, isOfPresentStream: Bool) {
        self.stream = stream
        self.limits = limits
        self.isOfPresentStream = isOfPresentStream
    }
}
