/// Receives the answers to requests: the last token of the subject is the request's id.
final class RequestInbox: NATSMessageReceiver {
    private let requests: RequestTable

    init(requests: RequestTable) { self.requests = requests }

    func receive(_ message: NATSMessageView) {
        guard let dot = message.subject.lastIndex(of: UInt8(ascii: ".")),
            let id = UnsafeRawBufferPointer(rebasing: message.subject[(dot + 1)...]).decimal()
        else { return }
        if message.payload.isEmpty, message.status == 503 {
            requests.complete(id, .failure(.noResponders))
        } else {
            requests.complete(id, .success(message))
        }
    }

    func receiveBatchEnd() {}

    func receiveEnd(_ error: NATSError?) {}
}

extension NATSError {
    fileprivate static let noResponders = NATSError(
        .noResponders,
        "nobody answers requests on this subject; is the service running?",
        isRetriable: true
    )
}
