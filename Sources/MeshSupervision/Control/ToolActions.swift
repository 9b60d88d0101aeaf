import MeshEvents
import MeshEventsNATS

/// Carries out what is asked about the tools of a supervisor.
struct ToolActions: Sendable {
    let supervisor: ToolSupervisor
    /// `nil` when tools may not be installed, changed and removed by requests.
    let installation: ToolInstallation?
    let node: String

    /// Carries a request out; returns when it is done.
    ///
    /// - Throws: why it is refused, or has failed.
    func perform(_ request: ToolRequest) async throws(ToolRefusal) {
        switch request.action {
        case .start: try await asked { () async throws(ToolError) in try await supervisor.start(request.tool) }
        case .stop: try await asked { () async throws(ToolError) in try await supervisor.stop(request.tool) }
        case .restart: try await asked { () async throws(ToolError) in try await supervisor.restart(request.tool) }
        case .reload: try await asked { () async throws(ToolError) in try await supervisor.reload(request.tool) }
        case .signal:
            let signal = try signal(of: request)
            try await asked { () async throws(ToolError) in try await supervisor.signal(request.tool, signal) }
        case .install: try await install(try allowed(request).specification(of: request))
        case .upgrade:
            let tool = try allowed(request).specification(of: request)
            try await asked { () async throws(ToolError) in try await supervisor.update(tool) }
        case .remove:
            _ = try allowed(request)
            try await asked { () async throws(ToolError) in try await supervisor.remove(request.tool) }
        case .status:
            guard supervisor.tool(named: request.tool) != nil else {
                throw ToolRefusal(ToolError.notInstalled(request.tool))
            }
        }
    }

    /// The signal that a request asks for; `nil` for none.
    func sentSignal(_ request: ToolRequest) -> String? {
        switch request.action {
        case .reload: supervisor.specification(of: request.tool)?.reloadSignal?.name
        case .signal: request.signal.map { ToolSignal($0)?.name ?? $0 }
        default: nil
        }
    }

    /// How a tool is, for the answer.
    func answer(about tool: String) -> ToolControlAnswer {
        guard let status = supervisor.tool(named: tool) else { return ToolControlAnswer(state: .removed) }
        return ToolControlAnswer(
            state: status.state.published,
            version: status.version,
            pid: status.pid,
            isReady: Self.isReady(status.readiness),
            lastError: status.publishedError
        )
    }

    private static func isReady(_ readiness: ToolReadiness) -> Bool? {
        switch readiness {
        case .ready: true
        case .notReady: false
        case .unknown: nil
        }
    }

    /// Installs a tool, unless its program is missing, and starts it as its node's others.
    private func install(_ tool: ToolSpecification) async throws(ToolRefusal) {
        guard supervisor.specifications.count < ToolManifest.maximumTools else {
            throw ToolRefusal(.busy, "node \(node) has \(ToolManifest.maximumTools) tools, the most; remove one first")
        }
        try await asked { () async throws(ToolError) in
            if tool.startsByItself {
                _ = try ToolExecutable.find(tool, variables: supervisor.context.environment.variables(for: tool))
            }
            try await supervisor.install(tool)
            guard tool.schedule == nil else { return try await supervisor.begin(tool.name, waits: false) }
            if tool.autostart { try await supervisor.start(tool.name) }
        }
    }

    private func allowed(_ request: ToolRequest) throws(ToolRefusal) -> ToolInstallation {
        if let installation { return installation }
        throw ToolRefusal(
            .installOff,
            "node \(node) takes no requests to \(request.action.rawValue) tools, since that can run any program there; "
                + "`serve --allow-install` allows it"
        )
    }

    private func signal(of request: ToolRequest) throws(ToolRefusal) -> ToolSignal {
        guard let name = request.signal else {
            throw ToolRefusal(.invalidRequest, "the action signal needs the member signal, such as SIGUSR1")
        }
        guard let signal = ToolSignal(name) else {
            let names = ToolSignal.names.joined(separator: ", ")
            throw ToolRefusal(
                .unknownSignal,
                "there is no signal \(name.debugDescription); node \(node) knows \(names)"
            )
        }
        return signal
    }

    private func asked(_ body: () async throws(ToolError) -> Void) async throws(ToolRefusal) {
        do {
            try await body()
        } catch {
            throw ToolRefusal(error)
        }
    }
}

extension ToolRefusal {
    init(_ error: ToolError) { self.init(Code(rawValue: error.code.rawValue), error.description) }
}
