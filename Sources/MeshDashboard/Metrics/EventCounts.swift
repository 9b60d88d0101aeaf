import MeshConcurrency
import MeshEvents
import MeshMetrics

/// Counts the events that were seen: by type, and the crashes of each tool. Both are bounded.
final class EventCounts: Sendable {
    /// A tool on its node.
    struct Tool: Sendable, Hashable {
        let node: String
        let name: String
    }

    /// What was counted.
    struct Counts: Sendable {
        var types: [String: UInt64] = [:]
        /// Events of further types, or of types with a long name.
        var ofOtherTypes: UInt64 = 0
        var crashes: [Tool: UInt64] = [:]
        /// Crashes of further tools.
        var ofOtherTools: UInt64 = 0
    }

    /// How many types are counted by themselves.
    static let maximumTypes = 200
    /// How many tools' crashes are counted.
    static let maximumTools = 10_000
    /// The longest name of a node or tool whose crashes are counted, in bytes: the state of a mesh has no longer ones.
    private static let maximumName = 512

    /// Whether only events that are signed by their node count as crashes.
    private let takesSignedOnly: Bool
    private let state = Locked(Counts())

    init(takesSignedOnly: Bool) { self.takesSignedOnly = takesSignedOnly }

    /// The counts now.
    var counts: Counts { state.withLock { $0 } }

    /// Counts an event.
    func take(_ event: Event) {
        let type = event.type.rawValue
        let crashed = event.type == .toolCrashed && (!takesSignedOnly || event.signature.isTrusted)
        let tool = crashed ? Tool(node: event.affectedNode, name: event.data["tool"]?.string ?? "") : nil
        state.withLock { state in
            if state.types[type] != nil || state.types.count < Self.maximumTypes,
                type.utf8.count <= MetricLabels.maximumBytes
            {
                state.types[type, default: 0] += 1
            } else {
                state.ofOtherTypes += 1
            }
            guard let tool else { return }
            if state.crashes[tool] != nil || state.crashes.count < Self.maximumTools,
                max(tool.node.utf8.count, tool.name.utf8.count) <= Self.maximumName
            {
                state.crashes[tool, default: 0] += 1
            } else {
                state.ofOtherTools += 1
            }
        }
    }
}
