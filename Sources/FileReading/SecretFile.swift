/// A file with a secret in it: a key, credentials, a token.
///
/// A file that other users may read or write is refused: they may have the secret already, or have written their own
/// into it. It has to be a regular file: only a regular file has a mode to check, and can be read again at the next
/// login.
package struct SecretFile {
    /// Why a file is not read. The message never contains anything of the file's contents.
    package struct Failure: Error {
        /// One sentence: which file, what is wrong with it, and what to do.
        package let message: String
        /// The error that caused this one.
        package let underlying: (any Error)?
    }

    /// The most that is read, in bytes: far more than any key or credentials file has.
    package static let maximumBytes = 1 << 20

    private let what: String
    private let path: String

    /// Creates a reader for the file at a path; reads nothing yet.
    ///
    /// - Parameter what: the kind of file, for error messages, as in "NKey file".
    package init(_ what: String, _ path: String) {
        self.what = what
        self.path = path
    }

    /// Reads the file's text.
    ///
    /// - Throws: when the file cannot be read, is not text, is larger than ``maximumBytes``, or when other users may
    ///   read or write it.
    package func read() throws(Failure) -> String {
        let contents: RegularFile.Contents
        do throws(RegularFile.Failure) {
            // The mode is read from the open file, so that no other file can take its place between check and read.
            contents = try RegularFile(path, maximumBytes: Self.maximumBytes).read()
        } catch {
            throw unreadable("it \(error.problem)", error)
        }
        guard !contents.isOpenToOthers else { throw open }
        guard let text = contents.text else { throw unreadable("it is not UTF-8 text") }
        return text
    }

    /// Checks the mode only, to report a wrong one early; does nothing when the file does not exist.
    package func check() throws(Failure) {
        guard RegularFile(path).isOpenToOthers == true else { return }
        throw open
    }

    private var open: Failure {
        Failure(
            message: "other users may read or write the \(what) \(path), which holds a secret: chmod 600 \(path)",
            underlying: nil
        )
    }

    private func unreadable(_ why: String, _ error: (any Error)? = nil) -> Failure {
        Failure(
            message: "the \(what) \(path) cannot be read (\(why)); check the path and its permissions",
            underlying: error
        )
    }
}
