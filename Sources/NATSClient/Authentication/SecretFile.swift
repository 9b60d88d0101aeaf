import FileReading

/// A file with a secret in it: a key, credentials, a token.
///
/// One that others than its owner may read or write is refused: they may have the secret already, or have put theirs
/// there. It has to be a regular file: only that has a mode which says so, and can be read again at the next login.
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
        let contents: RegularFile.Contents
        do throws(RegularFile.Failure) {
            // The mode is that of the open file, so that no other can take its place in between.
            contents = try RegularFile(path, maximumBytes: Self.maximumBytes).read()
        } catch {
            throw unreadable(code, "it \(error.problem)", error)
        }
        guard !contents.isOpenToOthers else { throw open(code) }
        guard let text = contents.text else { throw unreadable(code, "it is no text") }
        return text
    }

    /// Looks at the mode only, to say early what is wrong; nothing happens when there is no such file.
    package func checkMode(_ code: NATSError.Code = .invalidArgument) throws(NATSError) {
        guard RegularFile(path).isOpenToOthers == true else { return }
        throw open(code)
    }

    private func open(_ code: NATSError.Code) -> NATSError {
        NATSError(
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
