import Foundation
import MeshAuth
import MeshSupervision

/// The files of a new node in their directory: all of them come into being, or none, and none that is there is changed.
struct SetupFiles {
    /// The directory, as it was given, without a `/` at its end.
    let directory: String
    /// The manifest's path, as it is to be named in commands.
    let manifest: String
    /// The path of the directory with users, as it is to be named in commands.
    let auth: String

    /// - Throws: `CommandFailure`, usage, for a directory that cannot be named.
    init(_ directory: String) throws {
        guard !directory.isEmpty else { throw CommandFailure(.usage, "the directory must not be empty") }
        try PresentDirectory.check(for: directory)
        var directory = directory
        while directory.count > 1, directory.hasSuffix("/") { directory.removeLast() }
        // So that no command takes it for an option.
        if directory.hasPrefix("-") { directory = "./" + directory }
        self.directory = directory
        let prefix = directory == "." ? "" : directory == "/" ? "/" : directory + "/"
        manifest = prefix + ManifestFile.standardPath
        auth = prefix + NodeSetup.authName
    }

    /// Checks that there is no manifest yet.
    ///
    /// - Throws: `CommandFailure`, usage.
    func checkThereIsNone() throws {
        if isThere(manifest) { throw alreadyThere(manifest) }
    }

    /// Writes them.
    ///
    /// - Parameters:
    ///   - text: the manifest, without the line break at its end.
    ///   - node: the node's name, for the directory with users; `nil` makes no such directory.
    /// - Throws: `CommandFailure`, `MeshAuthError`; then nothing was written.
    func write(_ text: String, usersFor node: String?) throws {
        // Before anything is made. What is made meanwhile is seen when it is put in its place.
        try checkThereIsNone()
        if node != nil, isThere(auth) { throw alreadyThere(auth) }
        let isNew = try makeDirectory()
        do {
            if let node { try makeUsers(for: node) }
            do {
                try writeManifest(text)
            } catch {
                if node != nil { try? FileManager.default.removeItem(atPath: auth) }
                throw error
            }
        } catch {
            // Removes nothing but an empty directory.
            if isNew { rmdir(directory) }
            throw error
        }
    }

    /// Makes the directory when it is missing; whether it did.
    private func makeDirectory() throws -> Bool {
        var isDirectory: ObjCBool = false
        if FileManager.default.fileExists(atPath: directory, isDirectory: &isDirectory) {
            guard isDirectory.boolValue else {
                throw CommandFailure(.usage, "\(shown(directory)) is a file; name a directory")
            }
            return false
        }
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure(.usage, "the directory \(shown(directory)) cannot be made; name one that you may make")
        }
        // Not writable for a group, whatever the umask: `serve` refuses a manifest that others may replace.
        var status = stat()
        if stat(directory, &status) == 0 { chmod(directory, status.st_mode & 0o7755) }
        return true
    }

    private func makeUsers(for node: String) throws {
        // Claims the name: whatever is in it afterwards is of this process.
        guard mkdir(auth, 0o700) == 0 else { throw errno == EEXIST ? alreadyThere(auth) : unwritable(auth, errno) }
        do {
            _ = try AuthDirectory.create(at: auth, nodes: [node])
        } catch {
            try? FileManager.default.removeItem(atPath: auth)
            throw error
        }
    }

    private func writeManifest(_ text: String) throws {
        var template = Array("\(manifest).XXXXXX".utf8CString)
        // With mode 0600: what a user adds to it may be for no other.
        let file = mkstemp(&template)
        guard file >= 0 else { throw unwritable(manifest, errno) }
        defer { unlink(template) }
        do {
            defer { close(file) }
            try LineOutput(descriptor: file, stop: nil, name: manifest).write(text)
            // A service reads root's manifest as a user of its own.
            if geteuid() == 0, fchmod(file, 0o644) != 0 { throw unwritable(manifest, errno) }
            guard fsync(file) == 0 || errno == EINVAL else { throw unwritable(manifest, errno) }
        }
        try checkReadable(String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
        // Unlike `rename`, it replaces nothing.
        if link(template, manifest) == 0 { return }
        let reason = errno
        guard reason != EEXIST, !isThere(manifest) else { throw alreadyThere(manifest) }
        // A file system without hard links.
        guard reason == EPERM || reason == EOPNOTSUPP || reason == EMLINK || reason == ENOSYS,
            rename(template, manifest) == 0
        else { throw unwritable(manifest, reason) }
    }

    /// Checks that `serve` will take the file where it is: not where others may replace it.
    private func checkReadable(_ path: String) throws {
        do throws(ManifestError) {
            _ = try ManifestDocument.read(path)
        } catch {
            let problems = error.problems.map(\.message).joined(separator: "; ")
            throw CommandFailure(.usage, "a manifest in \(shown(directory)) would be refused: \(problems)")
        }
    }

    /// Whether there is anything of this name, a link to nothing included.
    private func isThere(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    private func alreadyThere(_ path: String) -> CommandFailure {
        CommandFailure(
            .usage,
            "\(shown(path)) is there already, and stays as it is: remove it, or name another directory"
        )
    }

    private func unwritable(_ path: String, _ reason: Int32) -> CommandFailure {
        CommandFailure(
            .usage,
            "\(shown(path)) cannot be written (\(String(cString: strerror(reason)))): name a directory of yours, such as "
                + "`mesh-events init ~/mesh`"
        )
    }

    private func shown(_ path: String) -> String { SafeText.escaped(path, columns: 1_000) }
}
