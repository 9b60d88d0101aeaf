/// The state of a tool, as nodes publish it and answer it. Others than these may come from newer nodes.
public struct ToolState: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// The text that is sent.
    public let rawValue: String

    /// Creates a state from its text.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// It is installed and has not been started: `installed`.
    public static let installed = ToolState(rawValue: "installed")
    /// It is being started: `starting`.
    public static let starting = ToolState(rawValue: "starting")
    /// It runs: `running`.
    public static let running = ToolState(rawValue: "running")
    /// It was asked to end, and runs still: `stopping`. The list in health events has `running` for it.
    public static let stopping = ToolState(rawValue: "stopping")
    /// It has ended by itself, and is started again after a delay: `backing_off`.
    public static let backingOff = ToolState(rawValue: "backing_off")
    /// It has failed, and its node does not start it again: `failed`.
    public static let failed = ToolState(rawValue: "failed")
    /// It was stopped, or has ended with code 0: `stopped`.
    public static let stopped = ToolState(rawValue: "stopped")
    /// Its node has no such tool any more: `removed`.
    public static let removed = ToolState(rawValue: "removed")

    /// The text that is sent.
    public var description: String { rawValue }

    /// Whether it runs, or is about to without a further request.
    public var isActive: Bool { [.starting, .running, .stopping, .backingOff].contains(self) }
}

/// Whether a tool is ready for its work. What follows from a state and from what is said of it is decided here, for all that
/// wait for a tool or show it.
public enum ToolReadiness: Sendable, Hashable, CaseIterable {
    /// It runs, has shown that it is ready, and is not unhealthy.
    case ready
    /// It does not run, has yet to show that it is ready, or is unhealthy.
    case notReady
    /// It runs, and nothing says whether it is ready: nothing of it is watched, or its node does not say it.
    case unknown

    /// Decides by what is known.
    ///
    /// - Parameters:
    ///   - state: what the tool does.
    ///   - hasShown: whether it has shown that it is ready; `nil` when nothing is said about that.
    ///   - isUnhealthy: whether it is known not to work although it runs.
    public init(_ state: ToolState, hasShown: Bool?, isUnhealthy: Bool = false) {
        guard state == .running, !isUnhealthy, hasShown != false else {
            self = .notReady
            return
        }
        self = hasShown == nil ? .unknown : .ready
    }

    /// Whether what needs the tool may go on: it is ready, or runs and shows no readiness that could be waited for.
    public var suffices: Bool { self != .notReady }
}
