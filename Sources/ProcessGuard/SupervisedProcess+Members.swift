#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

extension SupervisedProcess {
    /// Whether its group has ended, or is being killed.
    package var isOver: Bool { groupGuard.group == nil }

    /// How many processes were left when the program had ended, and were ended then; known when ``waitForEnd()`` has
    /// returned. After ``stop(request:grace:)`` and ``kill()`` it may count the program itself. It is 0 where descendants are
    /// not searched for (not Linux).
    package var leftBehind: Int { groupGuard.found }

    /// Whether a process that runs is the program or one of its descendants: it is in the program's group or, on Linux, has
    /// the mark of its descendants.
    package func contains(_ pid: Int32) -> Bool {
        guard pid > 0, let group = groupGuard.group else { return false }
        if getpgid(pid) == group { return true }
        return groupGuard.mark.isOn(pid)
    }
}
