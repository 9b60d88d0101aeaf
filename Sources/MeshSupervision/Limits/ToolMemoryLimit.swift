/// The most memory that a tool may use.
///
/// The resident memory of all its processes is added up every second; memory that several of them share counts for each.
/// A tool that uses more is ended, which counts as a crash; its restart policy decides what follows.
public struct ToolMemoryLimit: Sendable, Hashable {
    /// How a tool that uses too much is ended.
    public enum Action: String, Sendable, Hashable, CaseIterable {
        /// As when it is stopped: with its signal, and killed after its grace period.
        case restart
        /// It is killed at once, for tools that would take the machine's memory meanwhile.
        case kill
    }

    /// The least that ``maximum`` may be, in bytes: 1 MiB. No program runs in less; a smaller number is meant in another
    /// unit.
    public static let minimum = 1 << 20

    /// The most memory, in bytes; at least ``minimum``.
    public var maximum: Int
    /// How the tool is ended; the default is ``Action/restart``.
    public var action: Action

    /// Creates a limit.
    public init(maximum: Int, action: Action = .restart) {
        self.maximum = maximum
        self.action = action
    }

    /// The error of a tool that uses too much: `used 8.2 GB, more than its limit of 8 GB`.
    func error(used: Int) -> String {
        "used \(ManifestSize.text(used)), more than its limit of \(ManifestSize.text(maximum))"
    }
}
