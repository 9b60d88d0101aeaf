import MessageGrammar

/// Checks subjects and names of queue groups before they are sent.
enum SubjectRules {
    /// Checks a subject to publish to: tokens without wildcards.
    static func validatePublish(_ subject: String) throws(NATSError) {
        try validate(subject, wildcards: false)
    }

    /// Checks a subject to subscribe to: `*` for a token, `>` for the rest, at the end only.
    static func validateSubscribe(_ subject: String) throws(NATSError) {
        try validate(subject, wildcards: true)
    }

    /// Checks the name of a queue group: no white space.
    static func validateQueueGroup(_ group: String) throws(NATSError) {
        guard let problem = SubjectGrammar.problem(inQueueGroup: group) else { return }
        throw NATSError(.invalidSubject, "the queue group \(group.debugDescription) \(problem)")
    }

    private static func validate(_ subject: String, wildcards: Bool) throws(NATSError) {
        guard let problem = SubjectGrammar.problem(in: subject, wildcards: wildcards) else { return }
        throw NATSError(.invalidSubject, "the subject \(subject.debugDescription) \(problem)")
    }
}
