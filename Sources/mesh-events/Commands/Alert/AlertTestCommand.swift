import ArgumentParser
import MeshAlerts
import MeshEvents
import MeshNotifiers

/// `mesh-events alert test`.
struct AlertTestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Send a marked test through targets, and say what each answered.",
        usage: "mesh-events alert test [NAME ...] [--config FILE] [--page URL]",
        discussion: """
            Sends a notification that says that it is a test to the named targets of the file, or to all. It needs no mesh.

            EXIT CODES: 0 when all targets took it, 69 when one did not.
            """
    )

    @Argument(help: ArgumentHelp("The targets. Default: all of the file.", valueName: "name"))
    var names: [String] = []

    @Option(help: ArgumentHelp("The address of the mesh's page, for the link.", valueName: "url"))
    var page: String?

    @OptionGroup var file: AlertFileOptions

    func run() async throws {
        let manifest = try file.manifest()
        let known = manifest.targets.map(\.name)
        for name in names where !known.contains(name) {
            let hint = known.isEmpty ? "it has no `notify`" : "it has \(known.joined(separator: ", "))"
            throw CommandFailure(.usage, "\(file.config) has no target \(SafeText.name(name)): \(hint)")
        }
        let chosen = manifest.targets.filter { names.isEmpty || names.contains($0.name) }
        guard !chosen.isEmpty else {
            throw CommandFailure(.badData, "\(file.config) has no `notify`, so there is nothing to test")
        }
        let notification = Self.notification(page)
        let failed = try await NotifierClient.with { client in
            try await withThrowingTaskGroup(of: (String, String, Bool).self) { group in
                for target in chosen {
                    group.addTask {
                        do throws(NotificationFailure) {
                            let answer = try await target.target(client).notifier.notify(notification)
                            return (target.name, answer, true)
                        } catch {
                            return (target.name, error.message, false)
                        }
                    }
                }
                var failed: [String] = []
                for try await (name, answer, isTaken) in group {
                    let line = "\(name): \(isTaken ? "took it" : "did not take it"): \(answer)"
                    try LineOutput.standard().write(SafeText.escaped(line))
                    if !isTaken { failed.append(name) }
                }
                return failed
            }
        }
        guard failed.isEmpty else {
            throw CommandFailure(.unavailable, "\(failed.sorted().joined(separator: ", ")) did not take the test")
        }
    }

    private static func notification(_ page: String?) -> AlertNotification {
        let id = "test-\(String(UInt64.random(in: .min ... .max), radix: 36))"
        let alert = Alert(
            id: id,
            rule: "only-a-test",
            group: AlertGroup([]),
            status: .firing,
            severity: .info,
            since: .now,
            at: .now,
            count: 1,
            sequences: [],
            reason: "This is only a test of mesh-events alert: nothing has happened."
        )
        return AlertNotification(id: id, alerts: [alert], isTest: true, page: page)
    }
}
