import MeshConcurrency
import MeshEvents
import NATSClient

/// Decides whether an acknowledgement comes from the stream that was opened.
///
/// Behind leaf nodes several streams can take the same event, also streams of the same name, and each answers. An
/// acknowledgement names the stream and the JetStream domain of its servers: where servers have domains, that
/// identifies the others. Without domains nothing in an answer tells the streams apart. Then an acknowledgement is
/// compared with the stream's contents now and then. Once a second answer has come, every acknowledgement is compared: the
/// opened stream never sends second answers. How many acknowledgements came without one means nothing, since the other
/// stream may be slower; only waiting for it in vain does.
final class AcknowledgementOrigin: Sendable {
    enum Verdict {
        /// It counts.
        case ours
        /// It counts once the stream's contents agree with it.
        case unproven
        /// It comes from another stream.
        case foreign
    }

    private struct State {
        /// The domain of the opened stream; `nil` when that is not known, `.some(nil)` when it has none.
        var domain: String??
        /// How many acknowledgements count without proof since one was proven.
        var trusted = 0
        /// How often a second answer has to be waited for in vain until acknowledgements count without a proof again; 0 while
        /// none has come.
        var contested = 0
        var hasOthers = false
        var isTold = false
        /// The warning to give, once.
        var news: String?
    }

    /// How many acknowledgements after a proven one count without a proof.
    private static let trust = 8_192
    /// How often a second answer must be waited for in vain until there is no other stream any more.
    private static let doubt = 4

    private let stream: String
    private let say: @Sendable (String) -> Void
    private let state = Locked(State())

    /// - Parameter say: called once, when another stream answers too.
    init(stream: String, say: @escaping @Sendable (String) -> Void) {
        self.stream = stream
        self.say = say
    }

    /// Whether another stream has answered too.
    var hasOthers: Bool { state.withLock { $0.hasOthers } }

    /// Whether every acknowledgement needs a proof.
    var isContested: Bool { state.withLock { $0.contested > 0 } }

    /// Whether the first answer to a message may be another stream's error, which does not decide.
    var isShared: Bool {
        state.withLock { state in
            if case .some(.some) = state.domain { return state.hasOthers }
            return state.contested > 0
        }
    }

    /// Notes the domain of the opened stream.
    func opened(domain: String?) { state.withLock { $0.domain = .some(domain) } }

    /// Judges an acknowledgement. An error says nothing about the stream it comes from.
    func judge(_ answer: Result<PublishAcknowledgement, JetStreamError>) -> Verdict {
        guard case .success(let acknowledgement) = answer else { return .ours }
        let (verdict, news) = state.withLock { state -> (Verdict, String?) in
            guard let domain = state.domain else { return (.ours, nil) }
            guard acknowledgement.domain == domain, acknowledgement.stream == stream else {
                let other = acknowledgement.domain.map { "of the domain \($0)" } ?? "without a domain"
                Self.note(&state, "one \(other)")
                return (.foreign, Self.takeNews(&state))
            }
            guard domain == nil else { return (.ours, nil) }
            guard state.contested == 0, state.trusted > 0 else { return (.unproven, nil) }
            state.trusted -= 1
            return (.ours, nil)
        }
        if let news { say(news) }
        return verdict
    }

    /// Takes a further answer to a message that already had one.
    func further(_ answer: Result<PublishAcknowledgement, JetStreamError>) {
        // An answer that no server takes the subject at the moment does not come from a stream.
        if case .failure(let error) = answer, error.kind != .api { return }
        guard case .ours = judgeFurther(answer) else { return }
        contest()
    }

    /// Notes that the stream's contents agree with an acknowledgement.
    func proven() { state.withLock { $0.trusted = $0.contested == 0 ? Self.trust : 0 } }

    /// Notes that only this stream answered a message, after waiting for all possible answers. A stream that was
    /// created again, say, causes answers that do not fit, but no second ones.
    func heardAlone() { state.withLock { $0.contested = max($0.contested - 1, 0) } }

    /// Notes that acknowledgements of another stream come that look like this one's.
    func contest() {
        let news = state.withLock { state in
            state.trusted = 0
            if state.domain == .some(nil) { state.contested = Self.doubt }
            Self.note(&state, "one that cannot be told apart from it")
            return Self.takeNews(&state)
        }
        if let news { say(news) }
    }

    private func judgeFurther(_ answer: Result<PublishAcknowledgement, JetStreamError>) -> Verdict {
        // An ordinary judgement would report it as foreign, or use up trust.
        let isForeign = state.withLock { state in
            guard let domain = state.domain, case .success(let acknowledgement) = answer else { return false }
            return acknowledgement.domain != domain
        }
        return isForeign ? judge(answer) : .ours
    }

    private static func note(_ state: inout State, _ other: String) {
        state.hasOthers = true
        guard !state.isTold else { return }
        state.isTold = true
        state.news = other
    }

    private static func takeNews(_ state: inout State) -> String? {
        defer { state.news = nil }
        return state.news
    }
}
