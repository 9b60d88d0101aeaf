#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// What the system says about an open file or directory.
package struct FileStatus: Sendable {
    /// The permissions: three octal digits, for the owner, the group and others.
    package let permissions: UInt32
    /// Whether it belongs to the user that this process runs as.
    package let belongsToUser: Bool
    /// Whether it is a pipe.
    package let isPipe: Bool

    /// Asks the system.
    ///
    /// - Returns: `nil` when the descriptor is not open.
    package init?(of descriptor: Int32) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        permissions = UInt32(status.st_mode & 0o777)
        belongsToUser = status.st_uid == geteuid()
        isPipe = status.st_mode & S_IFMT == S_IFIFO
    }
}
