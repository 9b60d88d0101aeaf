import ArgumentParser
import Foundation
import LocalNATSServer
import MeshSupervision

/// `mesh-events init`.
struct InitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Write the files of a new node: a commented mesh.yaml, users, alerts.",
        usage: "mesh-events init [DIRECTORY] [--node NAME] [--auth] [--alerts] [--notify KIND[=ADDRESS]] [--yes]",
        discussion: """
            Writes DIRECTORY/mesh.yaml, the manifest of `mesh-events serve`, with an example of a tool; every line of it is \
            explained there. Files that are there already stay as they are: then it ends with exit code 64. It needs no \
            server and no network, and prints the commands that come next.

            On a terminal and without options it asks three questions, each of which has an answer for Enter; --yes takes \
            these answers.

            USERS: --auth makes DIRECTORY/mesh-auth, too, as `mesh-events auth init` does: only its users, who have keys \
            and use TLS, then reach the node's server.

            ALERTS: --alerts adds rules for tools that crash and nodes that fall silent. --notify adds them, and who is told:
              ntfy=URL      a topic of an ntfy server, for phones
              slack         a channel of Slack, Mattermost or Rocket.Chat
              discord       a channel of Discord
              webhook=URL   any server that takes a POST

            Secrets are not written into the file, which has "${NAME}" for an environment variable. Without an address, as \
            always with slack and discord, it is that of NTFY_URL, SLACK_WEBHOOK, DISCORD_WEBHOOK or WEBHOOK_URL.

            EXAMPLES
              mesh-events init
              mesh-events init lab --node garden --notify ntfy=https://ntfy.sh/my-topic
              mesh-events init lab --notify slack --auth
              mesh-events init lab --notify 'webhook=https://example.org/${HOOK_KEY}'
              mesh-events serve --check --config lab/mesh.yaml   # is it right?
            """
    )

    @Argument(
        help: ArgumentHelp("Where the files are to be; made when missing. Default: here.", valueName: "directory")
    )
    var directory = "."

    @Option(help: ArgumentHelp("The node's name in the mesh. Default: the host name.", valueName: "name"))
    var node: String?

    @Flag(help: "Give access only to users with keys, by TLS.")
    var auth = false

    @Flag(help: "Watch for tools that crash and nodes that fall silent.")
    var alerts = false

    @Option(help: ArgumentHelp("Who is told of alerts; see above.", valueName: "kind[=address]"))
    var notify: String?

    @Flag(help: "Ask nothing.")
    var yes = false

    func run() async throws {
        let files = try SetupFiles(directory)
        // Before any question.
        try files.checkThereIsNone()
        let setup = try isAsked ? SetupQuestions.ask() : options()
        let text = try setup.manifest()
        try files.write(text, usersFor: setup.restrictsAccess ? setup.node ?? NodeCapabilities.host : nil)
        let output = LineOutput.standard()
        try output.write("wrote \(SafeText.escaped(files.manifest))")
        if setup.restrictsAccess {
            try output.write("made \(SafeText.escaped(files.auth)), with users and their keys: keep it private")
        }
        try output.write("")
        try output.write("What comes next:")
        for line in NextSteps(setup, files).lines(ProcessInfo.processInfo.environment) { try output.write("  " + line) }
        sayWhatIsMissing(setup)
    }

    /// Whether there is a person to ask.
    private var isAsked: Bool {
        let hasOptions = node != nil || auth || alerts || notify != nil || yes
        return !hasOptions && Terminal(descriptor: STDIN_FILENO).isTerminal && Terminal.error.isTerminal
    }

    private func options() throws -> NodeSetup {
        if let node, node.isEmpty { throw CommandFailure(.usage, "--node must not be empty") }
        return NodeSetup(
            node: node,
            restrictsAccess: auth,
            watches: alerts || notify != nil,
            target: try notify.map { try SetupTarget($0) }
        )
    }

    private func sayWhatIsMissing(_ setup: NodeSetup) {
        if LocalNATSServer.installedExecutable() == nil {
            Diagnostics.say(
                "there is no nats-server here, which `serve` needs: apt-get install nats-server, or brew install nats-server"
            )
        }
        if setup.restrictsAccess { Diagnostics.say(AuthCommand.versionAdvice) }
    }
}

/// Asks a person at a terminal what a node is to have.
enum SetupQuestions {
    /// Asks, and takes the default for an empty answer or none.
    ///
    /// - Throws: `CommandFailure`, usage, for an answer that makes no sense.
    static func ask() throws -> NodeSetup {
        var setup = NodeSetup()
        let host = SafeText.escaped(NodeCapabilities.host, columns: SafeText.longestName)
        let name = answer("The node's name in the mesh [\(host)]: ")
        if !name.isEmpty { setup.node = name }
        setup.restrictsAccess = try isYes(answer("Give access only to users with keys, by TLS? [y/N]: "))
        let target = answer("Whom to tell when a tool crashes, such as ntfy=https://ntfy.sh/my-topic [none]: ")
        if !target.isEmpty {
            setup.target = try SetupTarget(target)
            setup.watches = true
        }
        return setup
    }

    private static func answer(_ question: String) -> String {
        Diagnostics.write(question)
        guard let line = readLine() else {
            // The end of the input leaves the cursor behind the question.
            Diagnostics.write("\n")
            return ""
        }
        return line.trimmingCharacters(in: .whitespaces)
    }

    private static func isYes(_ answer: String) throws -> Bool {
        switch answer.lowercased() {
        case "y", "yes": return true
        case "", "n", "no": return false
        default: throw CommandFailure(.usage, "\(SafeText.name(answer)) is neither y nor n; nothing was written")
        }
    }
}

/// The two or three commands that come after `init`.
struct NextSteps {
    private let setup: NodeSetup
    private let files: SetupFiles

    init(_ setup: NodeSetup, _ files: SetupFiles) {
        self.setup = setup
        self.files = files
    }

    /// The commands, each with what it does.
    func lines(_ environment: [String: String]) -> [String] {
        var commands: [(command: String, purpose: String)] = []
        let config = files.directory == "." ? "" : " --config \(ShellWord.quoted(files.manifest))"
        let missing = setup.target?.missing(environment) ?? []
        if !missing.isEmpty {
            let value = setup.target?.isWhole == true ? "ADDRESS" : "VALUE"
            let values = missing.map { "\($0)=\(value)" }.joined(separator: " ")
            commands.append(("export \(values)", "what the file has a variable for"))
        }
        if setup.target != nil { commands.append(("mesh-events alert test\(config)", "does it arrive?")) }
        let page = "runs it until Ctrl-C; a page at http://127.0.0.1:8080/"
        commands.append(("mesh-events serve\(config) --dashboard", page))
        if commands.count < 3 { commands.append(("mesh-events status\(login)", "in another terminal: how it is")) }
        let width = min(commands.map { TextWidth.columns(of: $0.command) }.max() ?? 0, 60)
        return commands.map { "\(TextWidth.padded($0.command, to: width))  # \($0.purpose)" }
    }

    /// The options with which a user of the directory asks the node's server.
    private var login: String {
        guard setup.restrictsAccess else { return "" }
        let (key, authority) = ("\(files.auth)/observer.nk", "\(files.auth)/ca.pem")
        return " --nats tls://127.0.0.1:4222 --nkey \(ShellWord.quoted(key)) --tls-ca \(ShellWord.quoted(authority))"
    }
}
