/// Receives the answers to requests: the last token of the subject is the request's id, or the mark and id of a reply
/// subject that several messages share.
final class RequestInbox: NATSMessageReceiver {
    static let sharedMark = UInt8(ascii: "s")

    private let requests: RequestTable
    private let sharedReplies: SharedReplyTable

    init(requests: RequestTable, sharedReplies: SharedReplyTable) {
        self.requests = requests
        self.sharedReplies = sharedReplies
    }

    func receive(_ message: NATSMessageView) {
        guard let dot = message.subject.lastIndex(of: UInt8(ascii: ".")) else { return }
        let token = message.subject[(dot + 1)...]
        let isShared = token.first == Self.sharedMark
        guard let id = UnsafeRawBufferPointer(rebasing: isShared ? token.dropFirst() : token).decimal() else { return }
        let hasNoResponders = message.payload.isEmpty && message.status == 503
        if isShared {
            sharedReplies.answer(id, hasNoResponders ? .noResponders : .message(message))
        } else if hasNoResponders {
            requests.complete(id, .failure(.noResponders))
        } else {
            requests.complete(id, .success(message))
        }
    }

    func receiveBatchEnd() {}

    func receiveEnd(_ error: NATSError?) {}
}

extension NATSError {
    static let noResponders = NATSError(
        .noResponders,
        "nobody answers requests on this subject; is the service running?",
        isRetriable: true
    )
}
