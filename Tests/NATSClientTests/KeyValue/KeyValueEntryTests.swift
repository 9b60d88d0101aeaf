import Testing

@testable import NATSClient

@Suite("What a revision says")
struct KeyValueEntryTests {
    @Test("operations travel as header fields, those of servers too")
    func operations() {
        #expect(KeyValueBucket.Operation([:]) == .put)
        #expect(KeyValueBucket.Operation(["KV-Operation": "DEL"]) == .delete)
        #expect(KeyValueBucket.Operation(["KV-Operation": "PURGE"]) == .purge)
        #expect(KeyValueBucket.Operation(["KV-Operation": "other"]) == .delete)
        #expect(KeyValueBucket.Operation(["Nats-Marker-Reason": "MaxAge"]) == .purge)
        #expect(KeyValueBucket.Operation(["Nats-Marker-Reason": "Purge"]) == .purge)
        #expect(KeyValueBucket.Operation(["Nats-Marker-Reason": "Remove"]) == .delete)
        #expect(KeyValueBucket.Operation.put.headers.isEmpty)
        #expect(KeyValueBucket.Operation.delete.headers == ["KV-Operation": "DEL"])
        #expect(KeyValueBucket.Operation.purge.headers == ["KV-Operation": "PURGE", "Nats-Rollup": "sub"])
    }

    @Test("times of servers are read to the nanosecond")
    func times() {
        #expect(ServerTime.nanoseconds("1970-01-01T00:00:01Z") == 1_000_000_000)
        #expect(ServerTime.nanoseconds("2023-10-16T12:54:19.409051084Z") == 1_697_460_859_409_051_084)
        #expect(ServerTime.nanoseconds("2023-10-16T12:54:19.4Z") == 1_697_460_859_400_000_000)
        #expect(ServerTime.nanoseconds("2023-10-16T14:54:19.409051084+02:00") == 1_697_460_859_409_051_084)
        for text in ["", ".", "2023-10-16", "9999-12-31T23:59:59Z", "x.5Z"] {
            #expect(ServerTime.nanoseconds(text) == nil, "\(text)")
        }
    }

    @Test("errors of the server become those of a bucket")
    func errors() {
        func error(_ code: JetStreamError.ErrorCode, _ message: String = "") -> KeyValueError {
            KeyValueError(JetStreamError(code: 400, errorCode: code, message: message), bucket: "b")
        }
        #expect(error(.wrongLastSequence, "wrong last sequence: 7").revision == 7)
        #expect(error(.wrongLastSequence).code == .wrongRevision)
        #expect(error(.wrongLastSequenceConstant, "wrong last sequence").code == .wrongRevision)
        #expect(error(.wrongLastSequenceConstant, "wrong last sequence").revision == nil)
        #expect(error(.streamNotFound).code == .bucketNotFound)
        #expect(error(.messageTooLarge).code == .valueTooLarge)
        #expect(error(.storeFailed).code == .bucketFull)
        #expect(error(.clusterNotAvailable).code == .requestFailed && error(.clusterNotAvailable).isRetriable)
        #expect(!error(.notEnabled).isRetriable)
        let large = KeyValueError(JetStreamError(NATSError(.payloadTooLarge, "")), bucket: "b")
        #expect(large.code == .valueTooLarge)
    }

    @Test("only what was surely not sent or not stored leaves no doubt")
    func outcomes() {
        for code in [NATSError.Code.timeout, .connectionFailed, .closed, .cancelled] {
            #expect(JetStreamError(NATSError(code, "")).leavesOutcomeOpen, "\(code)")
        }
        for code in [NATSError.Code.noResponders, .bufferFull, .payloadTooLarge, .permissionDenied] {
            #expect(!JetStreamError(NATSError(code, "")).leavesOutcomeOpen, "\(code)")
        }
        #expect(!JetStreamError(code: 400, errorCode: .wrongLastSequence, message: "").leavesOutcomeOpen)
    }
}
