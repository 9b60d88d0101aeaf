import MeshConcurrency

/// Has the tools of a supervisor follow a manifest that changes, also while what an earlier version of it asked for goes on.
///
/// ```swift
/// let follower = ManifestFollower(supervisor)
/// let change = follower.take(try ToolManifest.load("mesh.yaml"))
/// await change.apply()
/// ```
///
/// A tool may take long to stop. Another manifest that is taken meanwhile counts at once for the tools that no change is under
/// way for. Those of which one is get theirs as soon as that is over, so that in the end each tool is as the newest manifest
/// says, in whatever order they stop: one that was removed and put back while it stopped is installed and started again.
///
/// What a later manifest adds does not wait for what an earlier one still stops.
public final class ManifestFollower: Sendable {
    private struct State {
        /// The newest manifest's tools, by name.
        var wanted: [String: ToolSpecification] = [:]
        /// How many manifests were taken.
        var version = 0
        /// The tools that a change is under way for, with the version that asks for it.
        var changing: [String: Int] = [:]
    }

    private let supervisor: ToolSupervisor
    private let state = Locked(State())

    /// Follows no manifest yet.
    ///
    /// - Parameter supervisor: has the tools. Changes of its tools by other means are undone by the next manifest.
    public init(_ supervisor: ToolSupervisor) { self.supervisor = supervisor }

    /// Takes a manifest as what the tools are to be from now on. Returns at once.
    ///
    /// - Parameter manifest: the manifest; the last that is taken counts.
    /// - Returns: the change, which ``Change/apply()`` carries out.
    public func take(_ manifest: ToolManifest) -> Change {
        state.withLock { state in
            // What is under way counts as done.
            let settled = supervisor.specifications.filter { state.changing[$0.name] == nil }
            let pending = state.changing.keys.sorted().compactMap { state.wanted[$0] }
            let difference = ToolManifest(tools: settled + pending).difference(to: manifest)
            let begun = difference.filter { state.changing[$0] == nil }
            state.version += 1
            state.wanted = Dictionary(manifest.tools.map { ($0.name, $0) }) { $1 }
            for name in begun.names { state.changing[name] = state.version }
            return Change(difference: difference, begun: begun, follower: self)
        }
    }

    /// Notes that a tool is as the change says that was under way for it.
    ///
    /// - Returns: what a manifest that was taken meanwhile changes about it; `nil` for nothing.
    private func settle(_ name: String) -> Change? {
        state.withLock { state in
            // After an error the tool is not as its manifest says. That is no reason to try again without end.
            guard let version = state.changing.removeValue(forKey: name), version < state.version else { return nil }
            let present = supervisor.specification(of: name).map { [$0] } ?? []
            let wanted = state.wanted[name].map { [$0] } ?? []
            let difference = ToolManifest(tools: present).difference(to: ToolManifest(tools: wanted))
            guard !difference.isEmpty else { return nil }
            state.changing[name] = state.version
            return Change(difference: difference, begun: difference, follower: self)
        }
    }
}

extension ManifestFollower {
    /// What a manifest changes.
    public struct Change: Sendable {
        /// What it changes about the tools, compared with what they are, or are about to be by an earlier change.
        public let difference: ToolManifest.Difference
        /// What can begin at once.
        fileprivate let begun: ToolManifest.Difference
        fileprivate let follower: ManifestFollower

        /// Carries the change out, as ``ToolSupervisor/apply(_:)`` does. Call it once; until then its tools stay as they are.
        ///
        /// It returns when what could begin at once is done, and what later manifests want of the same tools meanwhile. What has
        /// to wait for an earlier change is carried out by that.
        ///
        /// - Returns: The errors, sorted by tool.
        @discardableResult
        public func apply() async -> [ToolError] {
            guard !begun.isEmpty else { return [] }
            let later = Locked<[ToolError]>([])
            let errors = await follower.supervisor.apply(begun) { [follower] name in
                guard let next = follower.settle(name) else { return }
                let errors = await next.apply()
                later.withLock { $0 += errors }
            }
            return (errors + later.withLock { $0 }).sorted { $0.tool < $1.tool }
        }
    }
}
