#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// How many file descriptors this process may have, and whether there are some left.
package enum FileDescriptors {
    /// The numbers that can be had: each descriptor is below this one. `nil` for no limit.
    package static var limit: Int? {
        let limit = sysconf(Int32(_SC_OPEN_MAX))
        return limit < 0 ? nil : Int(limit)
    }

    /// Raises the limit as far as the system allows, to at most `wanted`.
    package static func raiseLimit(to wanted: UInt64) {
        var limit = rlimit()
        #if canImport(Glibc)
            let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #else
            let resource = RLIMIT_NOFILE
        #endif
        let most = rlim_t(wanted)
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < min(limit.rlim_max, most) else { return }
        limit.rlim_cur = min(limit.rlim_max, most)
        _ = setrlimit(resource, &limit)
    }

    /// Whether at least so many descriptors are free.
    ///
    /// It takes none of them to see that: what else this process does at the moment may need the last ones. It looks at one
    /// number after the other, from 0, and at as few as it can.
    package static func areFree(_ needed: Int) -> Bool {
        let limit = limit
        if let limit, needed > limit { return false }
        var (number, free) = (Int32(0), 0)
        while free < needed {
            if let limit, Int(number) >= limit { return false }
            if fcntl(number, F_GETFD) < 0 { free += 1 }
            number += 1
        }
        return true
    }

    /// Whether an error number says that this process, or the whole system, has no descriptor left.
    package static func isShortage(_ errorNumber: Int32) -> Bool { errorNumber == EMFILE || errorNumber == ENFILE }
}
