/// Messages without an answer that the server has refused, until their publisher gets the error. The next message to
/// the same subject, which is then not sent, or a flush throws it, whichever comes first.
struct RefusedMessages {
    /// The most subjects that are kept: a user with few permissions must not fill the memory.
    private static let maximumSubjects = 64
    /// The most bytes that are kept, of subjects and reasons.
    static let maximumBytes = 64 << 10

    private(set) var bytes = 0
    private var errors: [(subject: String, error: NATSError)] = []
    private var count = 0

    var isEmpty: Bool { count == 0 }

    /// Notes a refusal; those beyond the limits are only counted.
    mutating func add(_ subject: String, _ error: NATSError) {
        count += 1
        let size = subject.utf8.count + error.message.utf8.count
        guard errors.count < Self.maximumSubjects, bytes + size <= Self.maximumBytes,
            !errors.contains(where: { $0.subject == subject })
        else { return }
        bytes += size
        errors.append((subject, error))
    }

    /// The error for the next message to a subject; `nil` when none to it was refused.
    mutating func take(for subject: UnsafeRawBufferPointer) -> NATSError? {
        guard let index = errors.firstIndex(where: { $0.subject.utf8.elementsEqual(subject) }) else { return nil }
        let error = errors.remove(at: index).error
        bytes -= error.message.utf8.count + subject.count
        count = errors.isEmpty ? 0 : max(errors.count, count - 1)
        return NATSError(
            error.code,
            "a message published before was refused, so this one was not sent: \(error.message)",
            subject: error.subject
        )
    }

    /// The error that a flush throws; `nil` when no message was refused.
    mutating func takeAll() -> NATSError? {
        guard count > 0 else { return nil }
        guard let first = errors.first?.error else {
            defer { self = RefusedMessages() }
            return NATSError(.permissionDenied, "\(count) messages were refused; their subjects are too long to name")
        }
        defer { self = RefusedMessages() }
        guard count > 1 else { return first }
        return NATSError(
            first.code,
            "\(count) messages were refused; the first: \(first.message)",
            subject: first.subject
        )
    }
}
