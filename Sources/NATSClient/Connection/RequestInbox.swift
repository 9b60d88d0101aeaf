/// The subjects that the answers to a connection's requests come to. The last token is the request's id and its code.
/// For a reply subject that several messages share, it is the mark, the reply's id and its code.
struct ReplySubjects: Sendable {
    fileprivate static let sharedMark = UInt8(ascii: "s")

    /// What they begin with, without the dot behind it.
    fileprivate let prefix: String
    fileprivate let code = ReplyCode()

    init(prefix: String) { self.prefix = prefix }

    /// The subject to subscribe to.
    var wildcard: String { "\(prefix).*" }

    /// Passes the subject that the answer to a request comes to, without allocating: every message that a stream
    /// acknowledges needs one.
    func withSubject<Result>(
        of id: UInt64,
        isShared: Bool = false,
        _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        let limit = prefix.utf8.count + 22 + ReplyCode.length
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: limit) { buffer in
            var start = limit - ReplyCode.length
            code.write(id, isShared: isShared, into: UnsafeMutableBufferPointer(rebasing: buffer[start...]))
            var rest = id
            repeat {
                start -= 1
                buffer.initializeElement(at: start, to: UInt8(ascii: "0") + UInt8(rest % 10))
                rest /= 10
            } while rest > 0
            if isShared {
                start -= 1
                buffer.initializeElement(at: start, to: Self.sharedMark)
            }
            start -= 1
            buffer.initializeElement(at: start, to: UInt8(ascii: "."))
            start -= prefix.utf8.count
            _ = UnsafeMutableBufferPointer(rebasing: buffer[start...]).initialize(fromContentsOf: prefix.utf8)
            return body(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: buffer[start...])))
        }
    }
}

/// The code that follows an answer's number in its reply subject, so that a user cannot derive the next reply subject
/// from those seen. Every user who receives a message sees its reply subject, and the server sends answers to whatever
/// reply subject another user's message names.
///
/// It is a keyed hash of the number: 64 bits, under a random key of 128 bits that never leaves the process.
struct ReplyCode: Sendable {
    /// Letters of a code; 4 bits each.
    static let length = 16

    private let key: (UInt64, UInt64)

    init() {
        key = (UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max))
    }

    private func hash(_ id: UInt64, isShared: Bool) -> UInt64 {
        // The standard library's SipHash; its own seed is one more secret.
        var hasher = Hasher()
        hasher.combine(key.0)
        hasher.combine(key.1)
        hasher.combine(id)
        hasher.combine(isShared)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    /// Writes the code of a number.
    func write(_ id: UInt64, isShared: Bool, into buffer: UnsafeMutableBufferPointer<UInt8>) {
        var rest = hash(id, isShared: isShared)
        for index in 0..<Self.length {
            buffer.initializeElement(at: index, to: UInt8(ascii: "a") + UInt8(rest & 15))
            rest >>= 4
        }
    }

    /// Whether these bytes are the code of a number.
    func matches(_ bytes: some Collection<UInt8>, _ id: UInt64, isShared: Bool) -> Bool {
        guard bytes.count == Self.length else { return false }
        var rest = hash(id, isShared: isShared)
        for byte in bytes {
            guard byte == UInt8(ascii: "a") + UInt8(rest & 15) else { return false }
            rest >>= 4
        }
        return true
    }
}

/// Receives the answers to requests, on the subjects of ``ReplySubjects``.
final class RequestInbox: NATSMessageReceiver {
    private let prefix: [UInt8]
    private let code: ReplyCode
    private let requests: RequestTable
    private let sharedReplies: SharedReplyTable

    init(_ subjects: ReplySubjects, requests: RequestTable, sharedReplies: SharedReplyTable) {
        code = subjects.code
        prefix = Array("\(subjects.prefix).".utf8)
        self.requests = requests
        self.sharedReplies = sharedReplies
    }

    func receive(_ message: NATSMessageView) {
        // A push consumer can deliver the messages of a stream here, under their own subjects: they are not answers.
        guard message.subjectBytes.starts(with: prefix) else { return }
        let token = message.subjectBytes[prefix.count...]
        let isShared = token.first == ReplySubjects.sharedMark
        let number = (isShared ? token.dropFirst() : token).dropLast(ReplyCode.length)
        guard let id = UnsafeRawBufferPointer(rebasing: number).decimal(),
            code.matches(token.suffix(ReplyCode.length), id, isShared: isShared)
        else { return }
        let hasNoResponders = message.payloadBytes.isEmpty && message.status == 503
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

/// Random tokens for inboxes: 22 characters of 62, 131 bits.
enum UniqueToken {
    static func make() -> String {
        let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        return String((0..<22).map { _ in alphabet[Int.random(in: 0..<alphabet.count)] })
    }
}
