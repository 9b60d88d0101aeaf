import FileReading

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

/// A file with a secret, or one beside such files. It is written completely or not at all, with its mode from the
/// start.
struct PrivateFile {
    /// Only its owner can read it.
    static let secretMode: mode_t = 0o600
    /// Every user can read it: it contains no secret.
    static let publicMode: mode_t = 0o644

    let path: String

    /// Writes the file, and replaces an existing one.
    func write(_ text: String, mode: mode_t = secretMode) throws(MeshAuthError) {
        var template = Array("\(path).XXXXXX".utf8CString)
        // It is created with mode 0600: other users can never read it.
        let file = mkstemp(&template)
        guard file >= 0 else { throw failure("written") }
        let isWritten = writeAll(Array(text.utf8), to: file) && fchmod(file, mode) == 0 && fsync(file) == 0
        var error = isWritten ? nil : failure("written")
        if close(file) != 0, error == nil { error = failure("written") }
        if error == nil, rename(template, path) != 0 { error = failure("written") }
        if let error {
            unlink(template)
            throw error
        }
        syncDirectory()
    }

    /// Reads the file's text.
    func read() throws(MeshAuthError) -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            guard FileManager.default.fileExists(atPath: path) else {
                throw MeshAuthError(.notFound, "there is no \(path); make it with `mesh-events auth init`")
            }
            throw MeshAuthError(.fileAccess, "\(path) cannot be read; does it belong to this user?")
        }
    }

    /// Removes the file; does nothing when there is none.
    func remove() throws(MeshAuthError) {
        guard unlink(path) != 0, errno != ENOENT else { return }
        throw failure("removed")
    }

    /// Makes a directory for its owner only, and the missing ones above it. An existing directory is accepted when it
    /// belongs to this user, and only this user may enter it. An empty one is made private.
    ///
    /// - Throws: `fileAccess` for a directory of another user, for one with files in it that other users may enter, and
    ///   for a path that is no directory.
    static func makeDirectory(_ path: String) throws(MeshAuthError) {
        try createDirectory(path)
        func refused(_ why: String) -> MeshAuthError {
            MeshAuthError(.fileAccess, "the directory \(path) \(why); name a new or empty one of your own")
        }
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw refused("cannot be opened: \(String(cString: strerror(errno)))") }
        defer { _ = close(directory) }
        guard let status = FileStatus(of: directory) else { throw refused("cannot be examined") }
        guard status.belongsToUser else { throw refused("belongs to another user, who could replace the keys") }
        guard status.permissions & 0o077 != 0 else { return }
        guard (try? FileManager.default.contentsOfDirectory(atPath: path))?.isEmpty == true else {
            let mode = String(status.permissions, radix: 8)
            throw refused("has files in it, and other users may enter it (mode \(mode))")
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
                // The C library's function: this type has a method of the same name.
                let count = systemWrite(file, bytes.baseAddress.map { $0 + written }, bytes.count - written)
                guard count > 0 else { return false }
                written += count
            }
            return true
        }
    }

    /// Makes the new name outlive a power failure. A file system that cannot do this has nothing to report.
    private func syncDirectory() {
        let slash = path.lastIndex(of: "/")
        let name = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let directory = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { return }
        _ = fsync(directory)
        close(directory)
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
