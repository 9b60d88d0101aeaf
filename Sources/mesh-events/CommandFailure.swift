import LocalNATSServer
import MeshAuth
import MeshEvents
import MeshEventsNATS
import NATSClient

/// Why a command ends without success: an exit code, and a sentence that says what to do.
struct CommandFailure: Error, CustomStringConvertible {
    /// The exit codes, from sysexits.h.
    enum Code: Int32 {
        /// EX_USAGE: the command line, or how the process is started, is wrong.
        case usage = 64
        /// EX_DATAERR: the data to emit is wrong.
        case badData = 65
        /// EX_UNAVAILABLE: the server cannot be reached, cannot be started, or refuses the request.
        case unavailable = 69
        /// EX_SOFTWARE.
        case internalError = 70
        /// EX_TEMPFAIL: the awaited event has not happened, or nodes that do not answer were skipped.
        case notHappened = 75
        /// The stream was deleted and created again meanwhile: its sequences now belong to other events.
        case streamReplaced = 76
    }

    let code: Code
    let message: String
    /// Whether the help of the command says more.
    let isInHelp: Bool

    /// - Parameters:
    ///   - code: the exit code.
    ///   - message: a sentence that says what to do.
    ///   - isInHelp: whether the help of the command says more; by default it does for wrong usage.
    init(_ code: Code, _ message: String, isInHelp: Bool? = nil) {
        self.code = code
        self.message = message
        self.isInHelp = isInHelp ?? (code == .usage)
    }

    var description: String { message }
}

extension CommandFailure {
    /// Converts any error to an exit code and a message.
    init(describing error: any Error) {
        switch error {
        case let error as CommandFailure: self = error
        case let error as MeshEventsError: self.init(Self.code(of: error), error.message)
        case let error as NATSError: self.init(describing: MeshEventsError(error))
        case let error as LocalNATSServerError: self.init(.unavailable, error.message)
        case let error as MeshAuthError: self.init(Self.code(of: error), error.message)
        default: self.init(.internalError, "an unexpected error: \(error)")
        }
    }

    /// The failure with a text before its message.
    func prefixed(_ context: String) -> CommandFailure {
        CommandFailure(code, context + message, isInHelp: isInHelp)
    }

    /// The failure with a text after its message.
    func suffixed(_ more: String) -> CommandFailure {
        CommandFailure(code, message + more, isInHelp: isInHelp)
    }

    private static func code(of error: MeshAuthError) -> Code {
        switch error.code {
        case .alreadyExists, .notFound, .invalidName: .usage
        case .invalidFile: .badData
        case .fileAccess: .unavailable
        case .cryptography: .internalError
        }
    }

    private static func code(of error: MeshEventsError) -> Code {
        switch error.code {
        case .invalidEventType, .invalidPattern, .invalidTimestamp, .invalidArgument:
            .usage
        case .invalidData, .malformedEvent, .payloadTooLarge:
            .badData
        case .streamReplaced:
            .streamReplaced
        case .connectionFailed, .authenticationFailed, .permissionDenied, .timeout, .noResponders,
            .persistenceUnavailable, .streamNotFound, .streamMismatch, .durableMismatch, .durableNotFound,
            .eventNotFound, .storageFull, .duplicateMessageID, .serverRefused, .bufferFull, .subscriberTooSlow,
            .conflict, .protocolViolation, .closed:
            .unavailable
        default:
            .internalError
        }
    }
}
