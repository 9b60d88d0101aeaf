import MeshAlerts
import MeshAuth
import MeshEventsNATS
import MeshNotifiers
import MeshSupervision

extension ServeCommand {
    /// Reads the manifest and what it names, and says what it means. Nothing is started or changed.
    ///
    /// - Throws: `CommandFailure`, `MeshAuthError`. Several mistakes are printed before that, each on its own line.
    func check(_ environment: [String: String]) async throws {
        guard let file = try manifestFile() else {
            throw CommandFailure(
                .usage,
                "there is no \(ManifestFile.standardPath) here: name a manifest with --config, or make one with "
                    + "`mesh-events init`"
            )
        }
        let manifest = await file.present
        let alerts = try AlertManifest.read(file.path)
        let name = try node.node == nil ? manifest.node ?? node.name(environment) : node.name(environment)
        var server = "on a server of its own"
        if let users = try users(manifest, environment) {
            let directory = try AuthDirectory.open(at: users.directory)
            _ = try ServeAccess.users(of: directory, node: name)
            server += ", with \(Self.count(directory.users.count, "user")) of \(SafeText.escaped(users.directory))"
        } else if !namesServer, !manifest.servers.isEmpty {
            server = "on \(Self.count(manifest.servers.count, "server")) that the manifest names"
        } else if let source = try connection.nodeServers(environment)?.source {
            server = "on the server that \(source) names"
        }
        let output = LineOutput.standard()
        try output.write("\(SafeText.escaped(file.path)) is right: node \(SafeText.name(name)), \(server)")
        try output.write(Self.list("tool", manifest.tools.map(\.name)))
        try output.write(Self.list("alert", alerts.rules.map(\.name)))
        try output.write(Self.list("target", alerts.targets.map(\.name)))
        for target in alerts.targets {
            for warning in target.notifier.warnings { Diagnostics.say("target \(target.name): \(warning)") }
        }
    }

    private static func count(_ count: Int, _ what: String) -> String { "\(count) \(what)\(count == 1 ? "" : "s")" }

    /// `2 tools: clock, whisper`; long lists are cut.
    private static func list(_ what: String, _ names: [String]) -> String {
        let shown = names.prefix(20).map(SafeText.name).joined(separator: ", ")
        let more = names.count > 20 ? " and \(names.count - 20) more" : ""
        return names.isEmpty ? "no \(what)s" : "\(count(names.count, what)): \(shown)\(more)"
    }
}
