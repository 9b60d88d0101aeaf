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
        // Tools start in its directory.
        try PresentDirectory.check(for: path)
        do throws(ManifestError) {
            present = try ToolManifest.load(path)
        } catch {
            throw error.saidFailure()
        }
    }

    /// Reads the file again, and says what changes; the node then is to have its tools, and no others. A file with mistakes
    /// changes nothing.
    ///
    /// - Returns: the change, which is to be applied; `nil` for none.
    func reload(_ follower: ManifestFollower) -> ManifestFollower.Change? {
        let changed: ToolManifest
        do throws(ManifestError) {
            changed = try ToolManifest.load(path)
        } catch {
            error.say(soThat: "the node goes on unchanged")
            return nil
        }
        // What was installed, changed and removed by requests is undone.
        let change = follower.take(changed)
        if (changed.node, changed.servers, changed.credentials, changed.authDirectory, changed.healthInterval)
            != (present.node, present.servers, present.credentials, present.authDirectory, present.healthInterval)
        {
            Diagnostics.say("changes to node, nats, auth and health of \(path) take effect at the node's next start")
        }
        Diagnostics.say("\(path) read again: \(Self.summary(change.difference))")
        present = changed
        return change
    }

    private static func summary(_ difference: ToolManifest.Difference) -> String {
        let parts = [
            ("added", difference.added.map(\.name)), ("changed", difference.changed.map(\.tool.name)),
            ("removed", difference.removed),
        ].filter { !$0.1.isEmpty }.map { "\($0.0) \($0.1.joined(separator: ", "))" }
        return parts.isEmpty ? "no tool has changed" : parts.joined(separator: "; ")
    }
}
