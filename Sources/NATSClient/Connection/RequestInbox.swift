/// Receives the answers to requests. The last token of the subject is the request's id and its code. For a reply
/// subject that several messages share, it is the mark, the reply's id and its code.
final class RequestInbox: NATSMessageReceiver {
    static let sharedMark = UInt8(ascii: "s")

    private let prefix: [UInt8]
    private let code: ReplyCode
    private let requests: RequestTable
    private let sharedReplies: SharedReplyTable

    /// - Parameter prefix: what the subjects of the answers begin with, without the dot behind it.
    init(prefix: String, code: ReplyCode, requests: RequestTable, sharedReplies: SharedReplyTable) {
        self.code = code
        self.prefix = Array("\(prefix).".utf8)
        self.requests = requests
        self.sharedReplies = sharedReplies
    }

    func receive(_ message: NATSMessageView) {
        // A push consumer can deliver the messages of a stream here, under their own subjects: they are not answers.
        guard message.subject.starts(with: prefix) else { return }
        let token = message.subject[prefix.count...]
        let isShared = token.first == Self.sharedMark
        let number = (isShared ? token.dropFirst() : token).dropLast(ReplyCode.length)
        guard let id = UnsafeRawBufferPointer(rebasing: number).decimal(),
            code.matches(token.suffix(ReplyCode.length), id, isShared: isShared)
        else { return }
        let hasNoResponders = message.payload.isEmpty && message.status == 503
        if isShared {
            sharedReplies.answer(id, hasNoResponders ? .noResponders : .message(message))
        } else if hasNoResponders {
            requests.complete(id, .failure(.noResponders))
        } else {
            requests.answer(id, message)
        }
    }

    func receiveBatchEnd() {}

    func receiveEnd(_ error: NATSError?) {}
}

extension NATSError {
    static let noResponders = NATSError(
        .noResponders,
        "no client answers requests on this subject; is the service running?",
        isRetriable: true
    )
}
