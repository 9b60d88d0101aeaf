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

/// Files that hold secrets, and those beside them: written whole or not at all, with the mode they need from the start.
struct PrivateFile {
    /// For its owner only.
    static let secretMode: mode_t = 0o600
    /// For everybody to read: nothing in it is secret.
    static let publicMode: mode_t = 0o644

    let path: String

    /// Writes the file in the place of what was there.
    func write(_ text: String, mode: mode_t = secretMode) throws(MeshAuthError) {
        var template = Array("\(path).XXXXXX".utf8CString)
        // Created with mode 0600: at no time can others read it.
        let file = mkstemp(&template)
        guard file >= 0 else { throw failure("written") }
        let isWritten = writeAll(Array(text.utf8), to: file) && fchmod(file, mode) == 0 && fsync(file) == 0
        let isClosed = close(file) == 0
        guard isWritten, isClosed, rename(template, path) == 0 else {
            let error = failure("written")
            unlink(template)
            throw error
        }
    }

    /// The file's text.
    func read() throws(MeshAuthError) -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            guard FileManager.default.fileExists(atPath: path) else {
                throw MeshAuthError(.notFound, "there is no \(path); make it with `mesh-events auth init`")
            }
            throw MeshAuthError(.fileAccess, "\(path) cannot be read; is this its owner?")
        }
    }

    /// Removes the file; nothing happens when there is none.
    func remove() throws(MeshAuthError) {
        guard unlink(path) != 0, errno != ENOENT else { return }
        throw failure("removed")
    }

    /// Makes a directory for its owner only, and those above it that are missing. One that is there is taken when it is
    /// ours: made private when it is empty, as it is when only we may enter it.
    ///
    /// - Throws: `fileAccess` for a directory of another user, for one with files in it that others may enter, and for
    ///   what is no directory.
    static func makeDirectory(_ path: String) throws(MeshAuthError) {
        try createDirectory(path)
        func refused(_ why: String) -> MeshAuthError {
            MeshAuthError(.fileAccess, "the directory \(path) \(why); name a new or empty one of your own")
        }
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw refused("cannot be opened: \(String(cString: strerror(errno)))") }
        defer { _ = close(directory) }
        var status = stat()
        guard fstat(directory, &status) == 0 else { throw refused("cannot be looked at") }
        guard status.st_uid == geteuid() else { throw refused("belongs to another user, who could replace the keys") }
        guard status.st_mode & 0o077 != 0 else { return }
        guard (try? FileManager.default.contentsOfDirectory(atPath: path))?.isEmpty == true else {
            throw refused("has files in it, and others may enter it (mode \(String(status.st_mode & 0o777, radix: 8)))")
        }
        guard fchmod(directory, 0o700) == 0 else { throw refused("cannot be made private") }
    }

    private static func createDirectory(_ path: String) throws(MeshAuthError) {
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            throw MeshAuthError(.fileAccess, "the directory \(path) cannot be made; name one that this user may make")
        }
    }

    private func writeAll(_ bytes: [UInt8], to file: Int32) -> Bool {
        bytes.withUnsafeBytes { bytes in
            var written = 0
            while written < bytes.count {
                // Of the C library: this type has a method of the same name.
                let count = systemWrite(file, bytes.baseAddress.map { $0 + written }, bytes.count - written)
                guard count > 0 else { return false }
                written += count
            }
            return true
        }
    }

    private func failure(_ action: String) -> MeshAuthError {
        MeshAuthError(.fileAccess, "\(path) cannot be \(action): \(String(cString: strerror(errno)))")
    }
}

#if canImport(Darwin)
    private let systemWrite = Darwin.write
#elseif canImport(Musl)
    private let systemWrite = Musl.write
#else
    private let systemWrite = Glibc.write
#endif
