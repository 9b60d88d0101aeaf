import MeshAlerts
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import MeshNotifiers
import MeshSupervision

/// A file with rules and targets, the runner that works by it, and what both say.
final class AlertReload: Sendable {
    private struct State {
        var manifest: AlertManifest
        var apply: (@Sendable (AlertManifest) -> Void)?
    }

    private let path: String
    private let page: String?
    private let state: Locked<State>
    /// Is sent when there are rules.
    let hasRules = OneTimeSignal()

    /// - Parameters:
    ///   - path: the file.
    ///   - manifest: what was read from it.
    ///   - page: the address of the mesh's page, instead of the file's; `nil` for that.
    init(_ path: String, _ manifest: AlertManifest, page: String? = nil) {
        self.path = path
        self.page = page
        state = Locked(State(manifest: manifest))
        if !manifest.rules.isEmpty { hasRules.send() }
    }

    /// Creates the runner, which gets the rules of the file whenever that is read again. What it does is said on standard
    /// error.
    ///
    /// - Parameters:
    ///   - bus: stores the reports.
    ///   - store: the store with the mesh's events.
    ///   - verification: checks the signatures of events; `nil` checks none.
    ///   - client: sends the notifications.
    ///   - lease: how long after its last sign of life another runner takes over; `nil` for the default.
    func runner(
        _ bus: PersistentEventBus,
        _ store: JetStreamStore,
        _ verification: SignatureVerification?,
        _ client: NotifierClient,
        lease: Duration? = nil
    ) -> AlertRunner {
        @Sendable func configuration(_ manifest: AlertManifest) -> AlertRunner.Configuration {
            var configuration = manifest.configuration(client)
            if let page { configuration.page = page }
            if let lease { configuration.lease = lease }
            return configuration
        }
        let manifest = state.withLock { $0.manifest }
        Self.warn(manifest)
        let runner = AlertRunner(
            bus: bus,
            store: store,
            table: JetStreamStateStore(beside: store),
            verification: verification,
            configuration: configuration(manifest),
            logger: .disabled
        ) { [self] status in
            let rules = state.withLock { $0.manifest.rules.count }
            switch status {
            case .watching:
                Diagnostics.say("watches the mesh by \(rules) \(rules == 1 ? "rule" : "rules") of \(path)")
            case .waiting: Diagnostics.say("another process watches the alerts; waits until none does")
            case .failing(let reason): Diagnostics.say("cannot watch the alerts for now: \(reason)")
            }
        }
        state.withLock { $0.apply = { runner.use(configuration($0)) } }
        return runner
    }

    /// Reads the file again. A file with mistakes changes nothing.
    func reload() {
        let manifest: AlertManifest
        do throws(ManifestError) {
            manifest = try AlertManifest.load(path)
        } catch {
            return error.say(soThat: "the alerts go on unchanged")
        }
        Self.warn(manifest)
        let apply = state.withLock { state in
            state.manifest = manifest
            return state.apply
        }
        let (rules, targets) = (manifest.rules.count, manifest.targets.count)
        Diagnostics.say(
            "\(path) read again: \(rules) \(rules == 1 ? "rule" : "rules"), \(targets) \(targets == 1 ? "target" : "targets")"
        )
        apply?(manifest)
        if !manifest.rules.isEmpty { hasRules.send() }
    }

    private static func warn(_ manifest: AlertManifest) {
        for target in manifest.targets {
            for warning in target.notifier.warnings { Diagnostics.say("target \(target.name): \(warning)") }
        }
    }
}

extension AlertManifest {
    /// Reads a file for a command.
    ///
    /// - Throws: `CommandFailure`. Several mistakes are printed before that, each on its own line.
    static func read(_ path: String) throws -> AlertManifest {
        do throws(ManifestError) {
            return try load(path)
        } catch {
            throw error.saidFailure()
        }
    }
}
