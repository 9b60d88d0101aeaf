extension ToolManifest {
    /// The differences between the tools of two manifests.
    public struct Difference: Sendable, Hashable {
        /// How a tool changes.
        public enum Kind: Sendable, Hashable {
            /// Another program, version, environment, directory, priority, user or limit, or a schedule where there was none:
            /// an update.
            case update
            /// Only its configuration, or which parts of it are published.
            case configuration
            /// Only its supervision: restarts, stop, memory, order, the times of its schedule, autostart, and how it is
            /// found out whether it works. It runs on. A socket for `ready: notify` and `watchdog`, and another time of the
            /// latter, it gets at its next start.
            case supervision
        }

        /// A tool that changes.
        public struct Change: Sendable, Hashable {
            /// The new specification.
            public var tool: ToolSpecification
            /// How it changes.
            public var kind: Kind
        }

        /// Tools that are new, in the order of the new manifest.
        public var added: [ToolSpecification]
        /// The names of tools that are gone, in the order of the old manifest.
        public var removed: [String]
        /// Tools that change, in the order of the new manifest.
        public var changed: [Change]
        /// The names of tools that stay as they are.
        public var unchanged: [String]

        /// Whether nothing changes.
        public var isEmpty: Bool { added.isEmpty && removed.isEmpty && changed.isEmpty }

        /// The names of the tools that are not unchanged.
        var names: [String] { added.map(\.name) + removed + changed.map(\.tool.name) }

        /// The changes of the tools that are included alone.
        func filter(_ isIncluded: (String) -> Bool) -> Difference {
            Difference(
                added: added.filter { isIncluded($0.name) },
                removed: removed.filter(isIncluded),
                changed: changed.filter { isIncluded($0.tool.name) },
                unchanged: unchanged.filter(isIncluded)
            )
        }
    }

    /// The changes from this manifest to `other`.
    public func difference(to other: ToolManifest) -> Difference {
        let before = Dictionary(tools.map { ($0.name, $0) }) { $1 }
        let names = Set(other.tools.map(\.name))
        var difference = Difference(
            added: [],
            removed: tools.map(\.name).filter { !names.contains($0) },
            changed: [],
            unchanged: []
        )
        for tool in other.tools {
            guard let old = before[tool.name] else {
                difference.added.append(tool)
                continue
            }
            if let kind = Self.kind(of: old, tool) {
                difference.changed.append(.init(tool: tool, kind: kind))
            } else {
                difference.unchanged.append(tool.name)
            }
        }
        return difference
    }

    private static func kind(of old: ToolSpecification, _ new: ToolSpecification) -> Difference.Kind? {
        if old == new { return nil }
        if old.version != new.version || old.command != new.command || old.environment != new.environment
            || old.directory != new.directory || old.inherit != new.inherit || old.process != new.process
            || (old.schedule == nil) != (new.schedule == nil)
        {
            return .update
        }
        if old.configuration != new.configuration || old.secrets != new.secrets || old.publish != new.publish
            || old.confidential != new.confidential
        {
            return .configuration
        }
        return .supervision
    }
}
