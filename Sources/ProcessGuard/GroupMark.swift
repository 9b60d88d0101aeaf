#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif
#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What the processes of one group pass on to their descendants, so that those are recognised in other groups and sessions
/// too. Linux only: elsewhere other processes cannot be asked for it.
package struct GroupMark: Sendable, Hashable {
    /// How the names of the variables begin.
    package static let variablePrefix = "MESH_EVENTS_GROUP_"

    /// The name of an environment variable that only this group has; its value does not matter.
    package let variable: String
    /// A soft limit of file locks (`RLIMIT_LOCKS`) that only this group has. The kernel has not heeded this limit since Linux
    /// 2.4.25, but still passes it on. Unlike a variable it stays when a process clears its environment.
    package let limit: UInt64
    /// The user that the program runs as. Any user can read the limit of a process and take the same, so that the limit
    /// alone marks processes of this user only.
    package let user: UInt32

    /// The digits in the name of a variable.
    package static let digits = 32

    /// A mark that no other group has.
    init(user: UInt32) {
        self.user = user
        let digits = UUID().uuidString.filter { $0 != "-" }
        variable = Self.variablePrefix + digits
        // Far beyond each real limit, and below "unlimited".
        limit = Self.leastLimit | (UInt64(digits.prefix(15), radix: 16) ?? 0)
    }

    /// A mark of these parts.
    package init(variable: String, limit: UInt64, user: UInt32 = getuid()) {
        (self.variable, self.limit, self.user) = (variable, limit, user)
    }

    /// The least limit that a mark has.
    package static let leastLimit: UInt64 = 1 << 60

    /// Whether a process has the variable, or is of the program's user and has the limit.
    func isOn(_ pid: pid_t) -> Bool {
        #if os(Linux)
            let files = FileManager.default
            if files.contents(atPath: "/proc/\(pid)/environ")?.firstRange(of: Array("\(variable)=".utf8)) != nil {
                return true
            }
            let limits = files.contents(atPath: "/proc/\(pid)/limits").map { String(decoding: $0, as: UTF8.self) } ?? ""
            let locks = limits.split(separator: "\n").first { $0.hasPrefix("Max file locks ") }
            guard locks?.split(separator: " ").dropFirst(3).first == "\(limit)" else { return false }
            // The kernel escapes line breaks of the name, which comes before.
            let status =
                files.contents(atPath: "/proc/\(pid)/status").map { String(decoding: $0, as: UTF8.self) } ?? ""
            let users = status.split(separator: "\n").first { $0.hasPrefix("Uid:") }
            return users?.split(whereSeparator: \.isWhitespace).dropFirst().first == "\(user)"
        #else
            return false
        #endif
    }
}

/// How the processes of a running program are found.
package struct ProcessFamily: Sendable, Hashable {
    /// The program's process id.
    package let pid: Int32
    /// The number of its process group, which is the process id of its guard; `nil` when it has no guard.
    package let group: Int32?
    /// What its descendants have; `nil` when it has no guard.
    package let mark: GroupMark?

    /// A program without a guard.
    package init(pid: Int32) { self.init(pid: pid, group: nil, mark: nil) }

    package init(pid: Int32, group: Int32?, mark: GroupMark?) {
        self.pid = pid
        self.group = group
        self.mark = mark
    }
}
