public import MeshEvents

/// How a tool is, at one moment.
public struct ToolStatus: Sendable, Hashable {
    /// What it does.
    public enum State: String, Sendable, Hashable {
        /// It was installed and never started.
        case installed
        /// It runs.
        case running
        /// It was asked to end.
        case stopping
        /// It does not run, as it should be.
        case stopped
        /// It ended by itself, and is about to be started again.
        case restarting
        /// It ended by itself or could not be started, and stays so.
        case crashed
    }

    /// Its name.
    public var name: String
    /// The installed version.
    public var version: String
    /// What it does.
    public var state: State
    /// Since when.
    public var since: Timestamp
    /// The process id; `nil` when it does not run.
    public var pid: Int32?
    /// How often it was started again by itself since it was last started on request.
    public var restartCount: Int
    /// Why it last crashed; `nil` when it did not since it was last started on request.
    public var lastError: String?
    /// The last lines of its standard error, at most 20, oldest first. They may hold anything: not for publication.
    public var lastOutput: [String]
}

extension ToolStatus.State {
    /// Whether a tool runs, or will by itself.
    public var isActive: Bool {
        switch self {
        case .running, .stopping, .restarting: true
        case .installed, .stopped, .crashed: false
        }
    }
}
