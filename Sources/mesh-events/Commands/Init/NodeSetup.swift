import Foundation
import MeshEvents
import MeshLogging
import MeshSupervision

/// What a new node is to have, and the manifest that says so.
struct NodeSetup: Sendable {
    /// The name of the directory with users, beside the manifest.
    static let authName = "mesh-auth"

    /// The node's name; `nil` for the host name.
    var node: String?
    /// Whether its server accepts only users of the directory ``authName``.
    var restrictsAccess = false
    /// Whether it watches the mesh by rules.
    var watches = false
    /// Who is told of alerts; `nil` for alerts that are only listed.
    var target: SetupTarget?

    /// The manifest, without the line break at its end. All that is in it is explained in it.
    ///
    /// - Throws: `CommandFailure`, usage, when the name or the address cannot be used.
    func manifest() throws -> String {
        let text = String(sections.joined(separator: "\n").dropLast())
        let variables = ProcessInfo.processInfo.environment.merging(target?.examples ?? [:]) { value, example in
            value.isEmpty ? example : value
        }
        let manifest: ToolManifest
        do throws(ManifestError) {
            manifest = try ToolManifest.parse(text, variables: variables)
            _ = try AlertManifest.parse(text, variables: variables)
        } catch {
            // Only the node's name and the target's address are not of this file.
            throw CommandFailure(.usage, error.problems.map(\.message).joined(separator: "; "))
        }
        // YAML takes some letters for line breaks, and the comments around the name are for people to read.
        guard manifest.node == node, node?.unicodeScalars.contains(where: \.isHarmful) != true else {
            throw CommandFailure(
                .usage,
                "the node's name \(SafeText.name(node ?? "")) has line breaks or characters in it that are not seen"
            )
        }
        return text
    }

    private var sections: [String] { [introduction, server, tools] + (watches ? [alerts] : []) }

    private var introduction: String {
        let name =
            node.map { "node: \(Self.quoted($0))" } ?? "# node: \(Self.quoted(NodeCapabilities.host))"
        return """
            # A node of the mesh. `mesh-events serve` runs it, and reads this file again on SIGHUP.
            #
            # `mesh-events serve --check` says whether the file is right; `mesh-events serve --help` has all of its keys.
            # What begins with # is a comment. No secret belongs in here: "${NAME}" is the environment variable NAME.

            # The node's name, which no other node of the mesh may have. Without it, the host name is taken.
            \(name)

            """
    }

    private var server: String {
        guard restrictsAccess else {
            return """
                # Without `nats` the node runs a nats-server of its own, which only programs of this machine reach. A node on
                # another machine names that server (there, `mesh-events serve --listen` lets other machines in):
                # nats: nats://192.168.1.5:4222

                """
        }
        return """
            # The node runs a nats-server of its own, which accepts only the users in this directory: each has a key, and
            # uses TLS. `mesh-events auth --help` says what they may do, and how there are more of them.
            auth: \(Self.authName)

            """
    }

    private var tools: String {
        """
        # The node's tools: programs that it starts, watches, and starts again when they end unexpectedly.
        tools:
          # An example that says the time every ten seconds. Put a program of yours in its place.
          - name: clock
            # The program and its arguments. There is no shell but the one that is named here.
            command: [sh, -c, "while date; do sleep 10; done"]
            # Started again after a crash. `always`: also when it ends by itself; `never`: not at all.
            restart: on-failure

        """
    }

    private var alerts: String {
        let recipient = target.map { "to: [\($0.kind.name)]" }
        return """
            \(target?.section ?? Self.noTarget)
            # What makes an alert fire (`when`), what ends it (`resolve`), and which targets are told (`to`).
            # `mesh-events alert check` says each in a sentence; `mesh-events alert --help` has more.
            alerts:
              # A tool has crashed; over when it runs again.
              - name: tool-crashed
                when: tool.crashed
                resolve: tool.started\(recipient.map { "\n    \($0)" } ?? "")
              # A node has been silent for three times its health interval; over when it is heard again, or has left.
              - name: node-unreachable
                when: node.unreachable
                resolve: [node.recovered, node.left]
                severity: critical\(recipient.map { "\n    \($0)" } ?? "")

            """
    }

    private static let noTarget = """
        # No person is told of alerts yet; `mesh-events alert list` shows them. For a phone with the ntfy app, take the # of
        # these two lines away, with a topic that is hard to guess, and add `to: [phone]` to each alert below.
        # notify:
        #   phone: {ntfy: "https://ntfy.sh/my-topic"}

        """

    /// A text as YAML reads it: JSON is YAML.
    static func quoted(_ text: String) -> String { JSONValue.string(text).description }
}
