import MeshEvents

extension AgentFailure {
    /// The failure for any error: its kind in this program's words, and its message, in which texts of others can be, as data.
    init(describing error: any Error) {
        switch error {
        case let failure as AgentFailure: self = failure
        case let failure as CommandFailure: self.init(failure)
        case let error as MeshEventsError: self.init(error)
        default:
            self.init(.internalError, "An unexpected error; the data has its message.", detail: "\(error)")
        }
    }

    private init(_ failure: CommandFailure) {
        switch failure.code {
        case .usage, .badData:
            self.init(.invalidArguments, "The arguments do not fit; `message` says why.", detail: failure.message)
        case .unavailable, .notHappened, .streamReplaced:
            self.init(
                .notFound,
                """
                It is not there, or the server refuses; `message` says more. Where it names an option (--node), the argument \
                of the same name is meant.
                """,
                detail: failure.message
            )
        case .internalError:
            self.init(.internalError, "An unexpected error; the data has its message.", detail: failure.message)
        }
    }

    private init(_ error: MeshEventsError) {
        let detail = error.message
        switch error.code {
        case .connectionFailed, .closed:
            self = .unreachable(detail)
        case .timeout:
            self.init(.timeout, "There was no answer in time. \(Self.afterSilence)", detail: detail)
        case .authenticationFailed, .permissionDenied:
            self.init(
                .permissionDenied,
                "The login of this program may not do that. A person has to give it another role (`mesh-events auth`).",
                detail: detail
            )
        case .streamNotFound, .persistenceUnavailable:
            let words: OwnWords = "The mesh stores no events that this program can read; `message` says why."
            self.init(.notFound, words, detail: detail)
        case .streamReplaced:
            self.init(
                .refused,
                "The stream was deleted and created anew, so that the cursor means other events. Call without it.",
                detail: detail
            )
        case .noResponders:
            self.init(
                .notFound,
                "The node does not run, or takes no such requests (it is older, or of the Go mesh). See `mesh_status`.",
                detail: detail
            )
        case .serverRefused:
            self.init(.refused, "The node or the server has refused; `message` says why.", detail: detail)
        case .invalidPattern, .invalidArgument, .invalidEventType, .invalidTimestamp, .invalidData:
            self.init(.invalidArguments, "The arguments do not fit; `message` says why.", detail: detail)
        default:
            self.init(.internalError, "An error; `message` says which.", detail: "\(error.code): \(detail)")
        }
    }

    /// The failure when the server is there, and sends nothing of what was asked for.
    static func silent(for time: Duration) -> AgentFailure {
        let seconds = time.components.seconds
        return AgentFailure(.timeout, "The stream of the mesh has not answered for \(seconds) s. \(afterSilence)")
    }

    private static let afterSilence: OwnWords = """
        Call again in a while. What needs no stream can work meanwhile: `tool_logs` with the argument `node` says whether that node \
        answers.
        """

    /// The failure while the server is away.
    static func unreachable(_ detail: String?) -> AgentFailure {
        AgentFailure(
            .unreachable,
            "The server of the mesh cannot be reached. This program connects again by itself: call again in a while.",
            detail: detail
        )
    }
}
