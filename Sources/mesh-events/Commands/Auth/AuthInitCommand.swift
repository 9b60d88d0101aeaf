import ArgumentParser
import MeshAuth

/// `mesh-events auth init`.
struct AuthInitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make users, keys, certificates and a server's configuration.",
        usage: "mesh-events auth init DIR [--host NAME ...] [--listen ADDRESS] [--node NAME ...]",
        discussion: """
            Creates DIR for you alone. A directory that exists must be yours: an empty one becomes private (mode \
            0700); one with files in it is refused unless it is private.
            """
    )

    @OptionGroup var auth: AuthDirectoryOptions

    @Option(
        name: .customLong("host"),
        help: ArgumentHelp(
            "A name or address under which other machines reach the server; may be repeated.",
            valueName: "name"
        )
    )
    var hosts: [String] = []

    @Option(
        help: ArgumentHelp(
            "The listen address in DIR/nats-server.conf. Default: 127.0.0.1, this machine only.",
            valueName: "address"
        )
    )
    var listen = "127.0.0.1"

    @Option(
        name: .customLong("node"),
        help: ArgumentHelp(
            "A node that logs in as the user node; may be repeated. Default: the host name.",
            valueName: "name"
        )
    )
    var nodes: [String] = []

    func run() async throws {
        let directory = try AuthDirectory.create(
            at: auth.directory,
            hosts: hosts,
            listen: listen,
            nodes: nodes.isEmpty ? [NodeOptions.hostName] : nodes
        )
        let output = LineOutput.standard()
        try output.write("made \(SafeText.escaped(directory.path)): keep it private")
        try output.write(
            "users: \(directory.users.map(\.name).joined(separator: ", ")); more with `mesh-events auth add`"
        )
        try output.write("valid for: \(directory.hosts.map { SafeText.name($0) }.joined(separator: ", "))")
        try output.write("run it:  mesh-events serve --auth \(SafeText.escaped(auth.directory))")
        try output.write("or:      nats-server -c \(SafeText.escaped(directory.serverFile))")
        try output.write("         mesh-events stream create --nkey admin.nk --tls-ca ca.pem    # once, there")
        Diagnostics.say(
            "use nats-server 2.12 or newer: an older one lets every user who may emit, a tool too, empty the stream"
        )
        if LoopbackAddress.isOpen(listen) {
            Diagnostics.say("that nats-server listens on \(listen), for other machines too")
        }
    }
}
