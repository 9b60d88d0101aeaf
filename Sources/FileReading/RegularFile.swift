#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A file that a user has named. It is read completely, when it is a regular file of a bounded size: a FIFO would block
/// without end, and a device may have no end.
package struct RegularFile {
    /// Why a file is not read.
    package struct Failure: Error {
        /// The kinds of reasons.
        package enum Code: Sendable {
            case missing, forbidden, notRegular, tooLarge, unreadable
        }

        package let code: Code
        /// What is wrong with the file, as the end of a sentence that begins with its path: `does not exist`.
        package let problem: String
    }

    /// A file's bytes, and its owner and mode.
    package struct Contents {
        package let bytes: [UInt8]
        fileprivate let status: stat
        fileprivate let path: String

        /// The bytes as text; `nil` when they are not UTF-8.
        package var text: String? { String(validating: bytes, as: UTF8.self) }

        /// Whether other users than the owner may read or write it.
        package var isOpenToOthers: Bool { RegularFile.isOpenToOthers(status, path) }

        /// Whether users other than root and the user of this process may write it. When this is root, the file's owner
        /// may too.
        package var isWritableByOthers: Bool { RegularFile.isWritableByOthers(status) }
    }

    package let path: String
    package let maximumBytes: Int

    /// Creates a reader for the file at a path; reads nothing yet.
    ///
    /// - Parameter maximumBytes: the largest file that is read; default 1 MiB.
    package init(_ path: String, maximumBytes: Int = 1 << 20) {
        self.path = path
        self.maximumBytes = maximumBytes
    }

    /// Reads the file.
    package func read() throws(Failure) -> Contents {
        // Without O_NONBLOCK, opening a FIFO would block here.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.failure(errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.failure(errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw Failure(code: .notRegular, problem: "is \(Self.kind(status)), not a regular file; name a file")
        }
        // Does not rely on the file's size: the file may grow, and files in /proc report no size.
        var bytes: [UInt8] = []
        let chunk = 65_536
        while bytes.count <= maximumBytes {
            let count = bytes.count
            bytes.append(contentsOf: repeatElement(0, count: chunk))
            // The C library's function: this type has a method of the same name.
            let (length, number) = bytes.withUnsafeMutableBytes { buffer -> (Int, Int32) in
                let length = buffer.baseAddress.map { systemRead(descriptor, $0 + count, chunk) } ?? 0
                return (length, errno)
            }
            bytes.removeLast(chunk - max(0, length))
            if length < 0, number != EINTR { throw Self.failure(number) }
            if length == 0 { return Contents(bytes: bytes, status: status, path: path) }
        }
        throw Failure(code: .tooLarge, problem: "is larger than \(maximumBytes) bytes, the most that it may have")
    }

    /// Whether other users than the owner may read or write it; `nil` when there is no such file.
    package var isOpenToOthers: Bool? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Self.isOpenToOthers(status, path)
    }

    /// Why the file cannot be read, for callers that read it by other means; `nil` when it can.
    package var problem: String? {
        var status = stat()
        guard stat(path, &status) == 0 else { return Self.failure(errno).problem }
        guard status.st_mode & S_IFMT == S_IFREG else {
            return "is \(Self.kind(status)), not a regular file; name a file"
        }
        return access(path, R_OK) == 0 ? nil : Self.failure(errno).problem
    }

    /// The file's directory, when other users may replace the file in it; `nil` when they may not, or when it is not
    /// known.
    package var replaceableDirectory: String? {
        let slash = path.lastIndex(of: "/")
        let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        var status = stat()
        guard stat(directory, &status) == 0 else { return nil }
        // In a directory with the sticky bit, only a file's owner may replace it.
        if status.st_mode & S_ISVTX != 0 { return nil }
        return Self.isWritableByOthers(status) ? directory : nil
    }

    /// systemd's credentials are root's, where only root may write. Since version 254 an access list lets the service's user
    /// read them, and its mask is shown as the group's permissions.
    private static func isOpenToOthers(_ status: stat, _ path: String) -> Bool {
        let isCredential = path.hasPrefix("/run/credentials/") && status.st_uid == 0 && status.st_gid == 0
        return status.st_mode & (isCredential ? 0o037 : 0o077) != 0
    }

    private static func isWritableByOthers(_ status: stat) -> Bool {
        if status.st_mode & S_IWOTH != 0 { return true }
        if status.st_mode & S_IWGRP != 0, !isPrivateGroup(status.st_gid, of: status.st_uid) { return true }
        let user = geteuid()
        // Root may run a file of any user.
        return user != 0 && status.st_uid != 0 && status.st_uid != user
    }

    /// Whether only this user is in the group, as systems create one for each user: files are then group-writable by
    /// default.
    private static func isPrivateGroup(_ group: gid_t, of user: uid_t) -> Bool {
        var (groupEntry, userEntry) = (SystemGroup(), SystemUser())
        var (foundGroup, foundUser): (UnsafeMutablePointer<SystemGroup>?, UnsafeMutablePointer<SystemUser>?) = (
            nil, nil
        )
        let size = 65_536
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 2 * size) { buffer in
            guard let base = buffer.baseAddress,
                getgrgid_r(group, &groupEntry, base, size, &foundGroup) == 0, foundGroup != nil,
                getpwuid_r(user, &userEntry, base + size, size, &foundUser) == 0, foundUser != nil,
                let groupName = groupEntry.gr_name, let userName = userEntry.pw_name, strcmp(groupName, userName) == 0
            else { return false }
            guard let members = groupEntry.gr_mem else { return true }
            var index = 0
            while let member = members[index] {
                if strcmp(member, userName) != 0 { return false }
                index += 1
            }
            return true
        }
    }

    private static func kind(_ status: stat) -> String {
        switch status.st_mode & S_IFMT {
        case S_IFIFO: "a FIFO"
        case S_IFDIR: "a directory"
        case S_IFSOCK: "a socket"
        case S_IFCHR, S_IFBLK: "a device"
        default: "something else"
        }
    }

    private static func failure(_ number: Int32) -> Failure {
        switch number {
        case ENOENT, ENOTDIR: Failure(code: .missing, problem: "does not exist")
        case EACCES, EPERM: Failure(code: .forbidden, problem: "may not be read")
        case ENXIO: Failure(code: .notRegular, problem: "is a socket or a device, not a regular file; name a file")
        default: Failure(code: .unreadable, problem: "cannot be read: \(String(cString: strerror(number)))")
        }
    }
}

private typealias SystemGroup = group
private typealias SystemUser = passwd

#if canImport(Darwin)
    private let systemRead = Darwin.read
#elseif canImport(Musl)
    private let systemRead = Musl.read
#else
    private let systemRead = Glibc.read
#endif
