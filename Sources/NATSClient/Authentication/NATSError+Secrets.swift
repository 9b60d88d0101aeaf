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

extension NATSError {
    /// The error of a login whose callback has thrown. It may be tried again: the next attempt asks again.
    static func callback(_ what: String, _ error: any Error) -> NATSError {
        let why = (error as? NATSError)?.message ?? "\(error)"
        return NATSError(
            .authenticationFailed,
            "the callback for \(what) failed: \(why.prefix(500))",
            underlying: error,
            isRetriable: true
        )
    }
}
