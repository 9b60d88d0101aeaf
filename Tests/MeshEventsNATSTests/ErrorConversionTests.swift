import MeshEvents
import MeshEventsNATS
import NATSClient
import Testing

@Suite("The client's errors as those of the bus")
struct ErrorConversionTests {
    @Test("the code, the message, what caused it, and whether to try again")
    func connection() {
        let expected: [(NATSError.Code, MeshEventsError.Code)] = [
            (.invalidSubject, .invalidArgument), (.connectionFailed, .connectionFailed),
            (.tlsFailed, .connectionFailed),
            (.authenticationFailed, .authenticationFailed), (.payloadTooLarge, .payloadTooLarge),
            (.bufferFull, .bufferFull), (.timeout, .timeout), (.closed, .closed), (.cancelled, .closed),
        ]
        for (from, to) in expected {
            let cause = NATSError(from, "what happened")
            let error = MeshEventsError(cause)
            #expect(error.code == to && error.message == "what happened" && error.isRetriable == cause.isRetriable)
            #expect(error.underlying is NATSError)
        }
    }

    @Test("JetStream's answers: what to do is in the message, and the stream's name")
    func answers() {
        let expected: [(JetStreamError.ErrorCode, MeshEventsError.Code, String)] = [
            (.streamNotFound, .streamNotFound, "the stream S does not exist; `mesh-events serve`"),
            (.streamNameInUse, .streamMismatch, "another configuration"),
            (.subjectsOverlap, .streamMismatch, "--stream"),
            (.notEnabled, .persistenceUnavailable, "-js"),
            (.clusterNotAvailable, .persistenceUnavailable, "try again"),
            (.messageTooLarge, .payloadTooLarge, "max_msg_size"),
            (.maximumConsumersReached, .storageFull, "max_consumers of stream S"),
            (.accountResourcesExceeded, .storageFull, "raise its limits"),
            (.acknowledgementRequired, .streamMismatch, "limits"),
            (.init(rawValue: 12_345), .serverRefused, "12345"),
        ]
        for (from, to, words) in expected {
            let error = MeshEventsError(JetStreamError(code: 400, errorCode: from, message: "said"), stream: "S")
            #expect(error.code == to && error.message.contains(words), "\(error)")
        }
        let closed = JetStreamError(.connection, "closed", underlying: NATSError(.closed, "closed"))
        #expect(MeshEventsError(closed, stream: "S").code == .closed)
        let silent = JetStreamError(.connection, "none", underlying: NATSError(.noResponders, "none"))
        #expect(MeshEventsError(silent, stream: "S").code == .persistenceUnavailable)
    }
}
