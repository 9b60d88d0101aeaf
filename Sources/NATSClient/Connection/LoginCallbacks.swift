import NIOCore

/// Asks the callbacks of a configuration, one question at a time, and waits for no answer longer than its deadline.
///
/// A callback that does not heed its cancellation goes on. The next question waits for its end, so that a callback that
/// hangs is not called again and again. Used on the event loop only.
final class LoginCallbacks: @unchecked Sendable {
    private let eventLoop: any EventLoop
    /// The call that runs, also when its answer is no longer waited for.
    private var call: Task<Void, Never>?
    /// Counts questions; an answer to an older one is dropped.
    private var number = 0
    private var deadline: Scheduled<Void>?
    /// Asks the present question, when an earlier call has ended.
    private var next: (@Sendable () -> Void)?

    init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Asks a question; gives up the one before.
    ///
    /// - Parameters:
    ///   - limit: how long the answer may take.
    ///   - callback: what to ask.
    ///   - answer: called once on the event loop, unless ``cancel()`` or another question comes first.
    func ask<Answer: Sendable>(
        within limit: Duration,
        _ callback: @escaping @Sendable () async throws(NATSError) -> Answer,
        _ answer: @escaping @Sendable (Result<Answer, NATSError>) -> Void
    ) {
        eventLoop.assertInEventLoop()
        cancel()
        let question = number
        deadline = eventLoop.scheduleTask(in: TimeAmount(limit)) {
            guard self.number == question else { return }
            self.cancel()
            answer(.failure(Self.late(limit)))
        }
        let start: @Sendable () -> Void = {
            self.call = Task {
                let result: Result<Answer, NATSError>
                do throws(NATSError) {
                    result = .success(try await callback())
                } catch {
                    result = .failure(error)
                }
                self.eventLoop.execute {
                    self.callEnded()
                    guard self.number == question else { return }
                    self.cancel()
                    answer(result)
                }
            }
        }
        if call == nil { start() } else { next = start }
    }

    /// Gives up the question that waits for its answer, if there is one.
    func cancel() {
        number += 1
        next = nil
        deadline?.cancel()
        deadline = nil
        call?.cancel()
    }

    private func callEnded() {
        call = nil
        let start = next
        next = nil
        start?()
    }

    /// The error of a callback that has not answered in time.
    private static func late(_ limit: Duration) -> NATSError {
        NATSError(
            .authenticationFailed,
            "the callback of the login has not answered within \(limit); is what it asks slow or away?",
            isRetriable: true
        )
    }
}

/// What the callbacks of a configuration have answered, for one attempt to connect.
struct ProvidedLogin: Sendable {
    /// The answer for the login; `nil` when it is not asked for.
    var login: LoginFields?
    /// The header fields for a WebSocket.
    var webSocketHeaders: [String: String] = [:]
}

extension NATSConnection.Configuration {
    /// What is to be asked before a connection to a server is opened; `nil` for nothing.
    func question(for server: ServerAddress) -> (@Sendable () async throws(NATSError) -> ProvidedLogin)? {
        let login = authentication.question
        let headers = server.usesWebSocket ? webSocketHeaderProvider : nil
        guard login != nil || headers != nil else { return nil }
        return { () async throws(NATSError) in
            var provided = ProvidedLogin(login: try await login?())
            guard let headers else { return provided }
            do {
                provided.webSocketHeaders = try await headers()
            } catch {
                throw .callback("WebSocket header fields", error)
            }
            return provided
        }
    }
}
