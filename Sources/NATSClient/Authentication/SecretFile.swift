import Foundation

/// A file with a secret in it: a key, credentials, a token.
///
/// One that others than its owner may read or write is refused: they may have the secret already, or have put theirs
/// there. Only plain files have a mode that says so; a pipe, as a shell's `<(…)` makes it, is read as it is.
package struct SecretFile {
    /// The most that is read, in bytes: far more than any key or credentials file has.
    package static let maximumBytes = 1 << 20

    private let what: String
    private let path: String

    /// Names a file.
    ///
    /// - Parameter what: what it is, for messages, as in "NKey file".
    package init(_ what: String, _ path: String) {
        self.what = what
        self.path = path
    }

    /// Its text.
    ///
    /// - Parameter code: of the error that is thrown.
    /// - Throws: when the file cannot be read, is no text, is larger than ``maximumBytes``, or when others may read or
    ///   write it; never with anything of what it holds.
    package func text(_ code: NATSError.Code = .invalidArgument) throws(NATSError) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(code, String(cString: strerror(errno)).lowercased()) }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        // Of the open file, so that no other can take its place in between.
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw unreadable(code, String(cString: strerror(errno))) }
        try refuse(status, code)
        let data: Data
        do {
            data = try file.read(upToCount: Self.maximumBytes + 1) ?? Data()
        } catch {
            throw unreadable(code, "reading failed", error)
        }
        guard data.count <= Self.maximumBytes else { throw unreadable(code, "it is larger than 1 MiB") }
        guard let text = String(data: data, encoding: .utf8) else { throw unreadable(code, "it is no text") }
        return text
    }

    /// Looks at the mode only, to say early what is wrong; nothing happens when there is no such file.
    package func checkMode(_ code: NATSError.Code = .invalidArgument) throws(NATSError) {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        try refuse(status, code)
    }

    private func refuse(_ status: stat, _ code: NATSError.Code) throws(NATSError) {
        guard status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o077 != 0 else { return }
        throw NATSError(
            code,
            "others than its owner may read or write the \(what) \(path), which holds a secret: chmod 600 \(path)"
        )
    }

    private func unreadable(_ code: NATSError.Code, _ why: String, _ error: (any Error)? = nil) -> NATSError {
        NATSError(
            code,
            "the \(what) \(path) cannot be read (\(why)); check the path and its permissions",
            underlying: error
        )
    }
}
