import MeshConcurrency

/// The secrets that a reader of a log must not see: those of its tool by value, or those of all tools in the node's own log.
///
/// A changed manifest may bring others while the log is read. They count from then on, beside those before: lines that were
/// written before may still come.
struct LogSecrets: Sendable {
    /// So many changes of secrets are remembered; then the oldest ones are forgotten.
    static let maximumChanges = 16

    private let supervisor: ToolSupervisor
    private let tool: String?
    /// Which specifications the newest texts are of.
    private var revision: UInt64
    private var texts: [Set<String>]

    /// - Parameter tool: the tool whose log it is; `nil` for the node's own.
    init(_ supervisor: ToolSupervisor, tool: String?) {
        self.supervisor = supervisor
        self.tool = tool
        // Before the texts: a change meanwhile is seen later.
        revision = supervisor.context.revision.withLock { $0 }
        texts = [Self.present(supervisor, tool) ?? Self.ofAll(supervisor)]
    }

    /// What removes them, and known forms of others.
    var redaction: Redaction { Redaction(confidential: texts.reduce(into: []) { $0.formUnion($1) }) }

    /// What removes them when there are others than at the last call; `nil` when there are none.
    mutating func renewed() -> Redaction? {
        let revision = supervisor.context.revision.withLock { $0 }
        guard revision != self.revision else { return nil }
        self.revision = revision
        // Those of a tool that is removed stay.
        guard let present = Self.present(supervisor, tool), !texts.contains(where: { present.isSubset(of: $0) }) else {
            return nil
        }
        texts.removeAll { $0.isSubset(of: present) }
        texts = texts.suffix(Self.maximumChanges - 1) + [present]
        return redaction
    }

    private static func present(_ supervisor: ToolSupervisor, _ tool: String?) -> Set<String>? {
        guard let tool else { return ofAll(supervisor) }
        return supervisor.specification(of: tool)?.confidentialTexts(supervisor.context.environment.available)
    }

    private static func ofAll(_ supervisor: ToolSupervisor) -> Set<String> {
        let available = supervisor.context.environment.available
        let named = Set(available.filter { Redaction.namesSecret($0.key) }.values)
        return supervisor.specifications.reduce(into: named) { $0.formUnion($1.confidentialTexts(available)) }
    }
}
