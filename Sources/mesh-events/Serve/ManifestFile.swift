import Foundation
import MeshSupervision

/// A node's manifest file and its present content.
actor ManifestFile {
    /// The default file.
    static let standardPath = "mesh.yaml"

    nonisolated let path: String
    /// The absolute path of its directory.
    nonisolated var directory: String { ManifestDocument.directory(of: path) }
    private(set) var present: ToolManifest

    /// Reads the file.
    ///
    /// - Throws: `CommandFailure`. Several mistakes are printed before that, each on its own line.
    init(path: String) throws {
        self.path = path
        guard FileManager.default.fileExists(atPath: path) else {
            throw CommandFailure(.usage, "the file of --config, \(path), does not exist")
        }
        do throws(ManifestError) {
            present = try ToolManifest.load(path)
        } catch {
            guard error.problems.count > 1 else { throw CommandFailure(.badData, error.description) }
            Self.say(error)
            throw CommandFailure(.badData, "\(path) has \(error.problems.count) mistakes; correct them first")
        }
    }

    /// Installs and starts the manifest's tools.
    func apply(to supervisor: ToolSupervisor) async {
        await supervisor.apply(ToolManifest().difference(to: present))
    }

    /// Reads the file again; the node then has its tools, and no others. A file with mistakes changes nothing.
    func reload(_ supervisor: ToolSupervisor) async {
        let changed: ToolManifest
        do throws(ManifestError) {
            changed = try ToolManifest.load(path)
        } catch {
            Diagnostics.say("\(path) has mistakes, so the node goes on unchanged:")
            Self.say(error)
            return
        }
        // What was installed, changed and removed by requests is undone.
        let difference = supervisor.difference(to: changed)
        if (changed.node, changed.servers, changed.credentials, changed.healthInterval)
            != (present.node, present.servers, present.credentials, present.healthInterval)
        {
            Diagnostics.say("changes to node, nats and health of \(path) take effect at the node's next start")
        }
        Diagnostics.say("\(path) read again: \(Self.summary(difference))")
        present = changed
        await supervisor.apply(difference)
    }

    private static func say(_ error: ManifestError) {
        for line in error.description.split(whereSeparator: \.isNewline) { Diagnostics.say(String(line)) }
    }

    private static func summary(_ difference: ToolManifest.Difference) -> String {
        let parts = [
            ("added", difference.added.map(\.name)), ("changed", difference.changed.map(\.tool.name)),
            ("removed", difference.removed),
        ].filter { !$0.1.isEmpty }.map { "\($0.0) \($0.1.joined(separator: ", "))" }
        return parts.isEmpty ? "no tool has changed" : parts.joined(separator: "; ")
    }
}
