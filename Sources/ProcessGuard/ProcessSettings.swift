#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// What a program gets of its own between fork and exec, besides its environment and directory.
package struct ProcessSettings: Sendable, Hashable {
    /// A resource limit, both the soft and the hard one.
    package struct Limit: Sendable, Hashable {
        /// Its name in lower case, as in `RLIMIT_NOFILE`: `nofile`.
        package var name: String
        /// The limit; `nil` for none.
        package var value: UInt64?

        /// Creates a limit.
        package init(name: String, value: UInt64?) {
            self.name = name
            self.value = value
        }
    }

    /// Its nice value, from -20 to 19; `nil` for that of this process.
    package var nice: Int32?
    /// The numbers of the processors that it may run on; empty for those of this process. Linux only.
    package var cpus: [Int32]
    /// Its file mode creation mask; `nil` for that of this process.
    package var umask: UInt16?
    /// Its resource limits, in the order in which they are set.
    package var limits: [Limit]
    /// The user that it runs as; `nil` for that of this process.
    package var user: ProcessUser?

    /// Creates settings.
    package init(
        nice: Int32? = nil,
        cpus: [Int32] = [],
        umask: UInt16? = nil,
        limits: [Limit] = [],
        user: ProcessUser? = nil
    ) {
        self.nice = nice
        self.cpus = cpus
        self.umask = umask
        self.limits = limits
        self.user = user
    }

    /// Whether nothing is set.
    package var isEmpty: Bool { self == ProcessSettings() }
}

/// A user of this machine, and the groups that it is in.
package struct ProcessUser: Sendable, Hashable {
    /// Its name.
    package let name: String
    /// Its number.
    package let id: UInt32
    /// The number of its own group.
    package let group: UInt32
    /// The numbers of all groups that it is in.
    package let groups: [UInt32]
    /// Its home directory.
    package let home: String
    /// Its login shell.
    package let shell: String

    /// Finds a user by its name, or by its number; `nil` when the machine has none.
    ///
    /// It asks the system's name service, which may take long when that is a server.
    package init?(_ name: String) {
        var buffer = [CChar](repeating: 0, count: 65_536)
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        let problem =
            if let id = uid_t(name) {
                getpwuid_r(id, &entry, &buffer, buffer.count, &found)
            } else {
                getpwnam_r(name, &entry, &buffer, buffer.count, &found)
            }
        guard problem == 0, found != nil, let own = entry.pw_name else { return nil }
        self.name = String(cString: own)
        id = entry.pw_uid
        group = entry.pw_gid
        home = entry.pw_dir.map { String(cString: $0) } ?? "/"
        shell = entry.pw_shell.map { String(cString: $0) } ?? "/bin/sh"
        groups = Self.groups(of: self.name, own: group)
    }

    private static func groups(of name: String, own: UInt32) -> [UInt32] {
        #if canImport(Darwin)
            typealias Number = Int32
        #else
            typealias Number = gid_t
        #endif
        var count: Int32 = 64
        var groups = [Number](repeating: 0, count: Int(count))
        // It says how many there are when the array is too small.
        if getgrouplist(name, Number(truncatingIfNeeded: own), &groups, &count) < 0 {
            groups = [Number](repeating: 0, count: max(1, Int(count)))
            count = Int32(groups.count)
            guard getgrouplist(name, Number(truncatingIfNeeded: own), &groups, &count) >= 0 else { return [own] }
        }
        return groups.prefix(Int(count)).map { UInt32(truncatingIfNeeded: $0) }
    }

    /// Whether this process runs as this user.
    package var isCurrent: Bool { geteuid() == id }

    /// Whether this process may start programs as other users.
    package static var canChange: Bool { geteuid() == 0 }
}
