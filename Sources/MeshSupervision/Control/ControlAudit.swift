import MeshConcurrency
import MeshEvents
import MeshEventsNATS

/// Emits `tool.controlled`: for each request that is carried out, and for refused ones as often as its budget allows.
final class ControlAudit: Sendable {
    private struct State {
        var budget = ControlBudget(20, perSecond: 1.0 / 30)
        var omitted = 0
    }

    /// The most bytes of an error.
    private static let maximumError = 500
    /// The most bytes of a tool's name, a signal's, an identity, and of who asks.
    private static let maximumText = 128

    private let supervisor: ToolSupervisor
    private let state = Locked(State())

    init(supervisor: ToolSupervisor) { self.supervisor = supervisor }

    /// Notes that a request is being carried out, and takes long.
    func noteAccepted(_ request: ToolRequest, signal: String?) {
        emit(request, ToolControlled.accepted, signal)
    }

    /// Notes what became of a request.
    ///
    /// - Parameters:
    ///   - request: `nil` when it was not understood.
    ///   - signal: the signal that was sent.
    ///   - refusal: why it was refused or has failed; `nil` when it was carried out.
    func note(_ request: ToolRequest?, signal: String? = nil, _ refusal: ToolRefusal?) {
        let omitted = state.withLock { state -> Int? in
            guard refusal == nil || state.budget.take() else {
                state.omitted += 1
                return nil
            }
            defer { state.omitted = 0 }
            return state.omitted
        }
        guard let omitted else { return }
        let error = refusal.map { text(of: $0, about: request?.tool) }
        emit(request, refusal?.code.rawValue ?? ToolControlled.done, signal, error: error, omitted: omitted)
    }

    private func emit(
        _ request: ToolRequest?,
        _ result: String,
        _ signal: String?,
        error: String? = nil,
        omitted: Int = 0
    ) {
        supervisor.context.emit(
            ToolControlled(
                tool: Self.cut(request?.tool ?? "", Self.maximumText),
                action: request?.action.rawValue ?? "",
                by: Self.cut(request?.by ?? "", Self.maximumText),
                result: result,
                error: error,
                signal: signal.map { Self.cut($0, Self.maximumText) },
                omitted: omitted,
                request: Self.cut(request?.id ?? "", Self.maximumText)
            )
        )
    }

    /// The message as every reader of events may see it. Mistakes in a specification quote it, so only their sender gets
    /// them.
    private func text(of refusal: ToolRefusal, about tool: String?) -> String {
        if refusal.code == .invalidSpecification { return "the specification has mistakes" }
        let specification = tool.flatMap { supervisor.specification(of: $0) }
        let redaction = specification?.redaction(supervisor.context.environment.available) ?? Redaction()
        return Self.cut(redaction.redact(refusal.message), Self.maximumError)
    }

    /// A text without control characters, and cut.
    private static func cut(_ text: String, _ maximum: Int) -> String {
        let visible = text.unicodeScalars.lazy.filter { $0.properties.generalCategory != .control }
        // As many scalars as there are bytes are enough.
        return String(String.UnicodeScalarView(visible.prefix(maximum))).prefix(bytes: maximum)
    }
}
