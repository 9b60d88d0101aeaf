import ProcessGuard

/// What a tool's program gets of its own before it is started: its priority, processors, file mode mask, resource limits
/// and user. All its processes inherit them.
///
/// They need no other program and no shell. A tool that has none is started as if there were no such settings.
public struct ToolProcessSettings: Sendable, Hashable {
    /// A resource that the system limits (`setrlimit`).
    public enum Resource: String, Sendable, Hashable, CaseIterable {
        /// Open files.
        case nofile
        /// The size of a core dump, in bytes; 0 for none.
        case core
        /// The address space of each process, in bytes.
        case `as`
        /// The data of each process, in bytes.
        case data
        /// The stack of each process, in bytes.
        case stack
        /// The processes and threads of its user; they do not count for root.
        case nproc
        /// The size of a file that it writes, in bytes.
        case fsize
        /// The processor time of each process, in seconds.
        case cpu
        /// The memory that each process may lock, in bytes.
        case memlock

        /// Whether it is counted in bytes.
        public var isSize: Bool {
            switch self {
            case .core, .as, .data, .stack, .fsize, .memlock: true
            case .nofile, .nproc, .cpu: false
            }
        }
    }

    /// A limit, both the soft and the hard one.
    public enum Limit: Sendable, Hashable {
        /// No limit.
        case unlimited
        /// At most this much.
        case at(UInt64)
    }

    /// The highest number of a processor.
    static let maximumCPU = 1_023

    /// Its nice value, from -20 (the most processor time) to 19 (the least); `nil` for its node's. Only root may lower it.
    /// On Linux the priority of its input and output follows it.
    public var nice: Int?
    /// The numbers of the processors that it may run on, from 0; empty for its node's. Linux only.
    public var cpus: Set<Int>
    /// The permissions that files it creates do not get, up to `0o777`; `nil` for its node's.
    public var umask: Int?
    /// Its resource limits. Only root may raise one above its node's.
    public var limits: [Resource: Limit]
    /// The user that it runs as, by name or number, with all groups of that user; `nil` for its node's. Only a node that
    /// runs as root has a choice. Its `HOME`, `USER`, `LOGNAME` and `SHELL` are that user's.
    public var user: String?

    /// Creates settings.
    public init(
        nice: Int? = nil,
        cpus: Set<Int> = [],
        umask: Int? = nil,
        limits: [Resource: Limit] = [:],
        user: String? = nil
    ) {
        self.nice = nice
        self.cpus = cpus
        self.umask = umask
        self.limits = limits
        self.user = user
    }

    /// The first rule that is broken; `nil` when none is.
    var problem: String? {
        if let nice, !(-20...19).contains(nice) { return "has a nice value of \(nice); it goes from -20 to 19" }
        if let cpu = cpus.first(where: { !(0...Self.maximumCPU).contains($0) }) {
            return "names the processor \(cpu); they go from 0 to \(Self.maximumCPU)"
        }
        #if !os(Linux)
            if !cpus.isEmpty { return "names processors, which only Linux lets a program choose" }
        #endif
        if let umask, !(0...0o777).contains(umask) { return "has a umask that is not from 0 to 0777 (octal)" }
        if let user, user.isEmpty || user.utf8.contains(0) { return "has a user without a name" }
        return nil
    }

    /// The settings for a process.
    ///
    /// - Parameter name: the tool's, for errors.
    /// - Throws: `invalidSpecification` when there is no such user, or this process may not become it.
    func processSettings(_ name: String) throws(ToolError) -> ProcessSettings {
        var settings = ProcessSettings(
            nice: nice.map { Int32($0) },
            cpus: cpus.sorted().map { Int32($0) },
            umask: umask.map { UInt16($0) }
        )
        settings.limits = limits.sorted { $0.key.rawValue < $1.key.rawValue }.map { resource, limit in
            guard case .at(let value) = limit else { return .init(name: resource.rawValue, value: nil) }
            return .init(name: resource.rawValue, value: value)
        }
        guard let user else { return settings }
        guard let found = ProcessUser(user) else {
            throw ToolError(.invalidSpecification, tool: name, "there is no user '\(user)' on this machine; create it")
        }
        guard found.isCurrent || ProcessUser.canChange else {
            throw ToolError(
                .invalidSpecification,
                tool: name,
                "cannot run as user \(found.name): only a node that runs as root starts tools as other users; run the node "
                    + "as root, or leave 'user' out"
            )
        }
        settings.user = found
        return settings
    }
}
