#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Free space of file systems.
enum DiskSpace {
    /// The free space for this user on the file system that holds a path, in units of 2²⁰ bytes; `nil` when it cannot
    /// be read. For a path that does not exist yet, the nearest existing directory above it counts.
    static func freeMB(at path: String) -> Int? {
        var path = path[...]
        while true {
            var status = statvfs()
            if statvfs(path.isEmpty ? "." : String(path), &status) == 0 {
                let blocks = UInt64(status.f_bavail)
                let (bytes, isTooLarge) = blocks.multipliedReportingOverflow(by: UInt64(status.f_frsize))
                return isTooLarge ? nil : Int(clamping: bytes >> 20)
            }
            guard errno == ENOENT || errno == ENOTDIR, !path.isEmpty, path != "/" else { return nil }
            let parent = path.lastIndex(of: "/").map { path[..<$0] } ?? ""
            path = parent.isEmpty && path.hasPrefix("/") ? "/" : parent
        }
    }
}
