package import FileReading
import NKeys

extension SecretFile {
    /// Reads the file's text.
    ///
    /// - Throws: as ``read()``, with this code.
    package func text(_ code: NATSError.Code = .invalidArgument) throws(NATSError) -> String {
        do throws(Failure) {
            return try read()
        } catch {
            throw NATSError(code, error.message, underlying: error.underlying)
        }
    }

    /// Checks the mode only, to report a wrong one early.
    ///
    /// - Throws: as ``check()``, with this code.
    package func checkMode(_ code: NATSError.Code = .invalidArgument) throws(NATSError) {
        do throws(Failure) {
            try check()
        } catch {
            throw NATSError(code, error.message, underlying: error.underlying)
        }
    }
}

extension NATSError {
    /// The error of a login that fails because of a key or a credentials file.
    init(_ error: NKeyError) {
        self.init(.authenticationFailed, error.message, underlying: error.underlying)
    }
}
