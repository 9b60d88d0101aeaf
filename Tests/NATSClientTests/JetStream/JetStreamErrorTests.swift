import NATSClient
import Testing

@Suite("JetStream's errors")
struct JetStreamErrorTests {
    @Test("what passes by itself is retriable, what needs a person is not")
    func retriable() {
        func error(_ code: Int, _ errorCode: JetStreamError.ErrorCode) -> JetStreamError {
            JetStreamError(code: code, errorCode: errorCode, message: "")
        }
        #expect(error(503, .clusterNotAvailable).isRetriable)
        #expect(error(500, .clusterNotLeader).isRetriable)
        #expect(error(503, .storeFailed).isRetriable)
        #expect(error(503, .init(rawValue: 99_999)).isRetriable)
        #expect(error(409, .duplicateInProcess).isRetriable)
        #expect(!error(503, .notEnabled).isRetriable)
        #expect(!error(503, .notEnabledForAccount).isRetriable)
        #expect(!error(404, .streamNotFound).isRetriable)
        #expect(!error(400, .streamNameInUse).isRetriable)
        #expect(!error(400, .wrongLastSequence).isRetriable)
        let inTheWay = JetStreamError(
            code: 500,
            errorCode: .streamCreationFailed,
            message: "error creating store for stream"
        )
        #expect(inTheWay.isRetriable)
        #expect(!JetStreamError(code: 500, errorCode: .streamCreationFailed, message: "no").isRetriable)
        let rename = "rename obs/tool/o.dat.tmp obs/tool/o.dat: no such file or directory"
        #expect(JetStreamError(code: 500, errorCode: .consumerCreationFailed, message: rename).isRetriable)
        #expect(!JetStreamError(code: 500, errorCode: .consumerCreationFailed, message: "no").isRetriable)
        #expect(JetStreamError(.consumerLost, "").isRetriable)
        #expect(JetStreamError(NATSError(.timeout, "")).kind == .timeout)
        #expect(JetStreamError(NATSError(.noResponders, "")).isNoResponders)
        #expect(JetStreamError(NATSError(.noResponders, "")).isRetriable)
        #expect(!JetStreamError(NATSError(.permissionDenied, "")).isRetriable)
    }

    @Test("the description carries both codes")
    func description() {
        let error = JetStreamError(code: 404, errorCode: .streamNotFound, message: "stream not found")
        #expect("\(error)" == "JetStream 10059 (404): stream not found")
    }
}
