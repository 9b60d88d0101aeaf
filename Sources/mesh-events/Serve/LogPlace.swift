import Foundation

/// The directory for the logs of the nodes of this machine.
enum LogPlace {
    /// The directory of the option; else a place by the environment: that of a service of systemd, or of a user's state
    /// (XDG).
    static func directory(_ option: String?, _ environment: [String: String]) throws -> String {
        if let option {
            guard !option.isEmpty else { throw CommandFailure(.usage, "--log-directory must not be empty") }
            return AbsolutePath.of(option)
        }
        func absolute(_ name: String) -> String? {
            environment[name]?.split(separator: ":").first.map(String.init).flatMap { $0.hasPrefix("/") ? $0 : nil }
        }
        if let state = absolute("STATE_DIRECTORY") { return state + "/logs" }
        let home = environment["HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? NSHomeDirectory()
        return (absolute("XDG_STATE_HOME") ?? home + "/.local/state") + "/mesh-events/logs"
    }
}
