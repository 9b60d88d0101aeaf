/// The metadata keys of every log line that the package writes: one name for one thing, so that logs can be searched.
package enum LogKey: String, CaseIterable, Sendable {
    /// What was asked for: `start`, `stop`, `restart`.
    case action
    /// How many attempts it took.
    case attempts
    /// In which settings a stream's configuration differs from the one asked for.
    case differences
    /// The durable subscription's name.
    case durable
    /// What went wrong.
    case error
    /// The host on which a node runs.
    case host
    /// How many were lost in all.
    case lost
    /// The node's name.
    case node
    /// The host of another node of the same name.
    case otherHost = "other_host"
    /// The instance of another node of the same name.
    case otherInstance = "other_instance"
    /// Which output of a tool a line is from: `stdout`, `stderr`.
    case output
    /// The subject pattern of a subscription.
    case pattern
    /// A tool's process id.
    case pid
    /// Why something was skipped or given up.
    case reason
    /// An event's sequence in its stream.
    case sequence
    /// A NATS server's address.
    case server
    /// The JetStream stream's name.
    case stream
    /// A message's subject.
    case subject
    /// The name of a target of alerts.
    case target
    /// The tool's name.
    case tool
    /// The event's type.
    case type
    /// How many messages were on their way when a connection was lost.
    case unconfirmed
    /// How many lines like this were left out since the last one.
    case unreported
    /// A NATS server's version.
    case version
}
