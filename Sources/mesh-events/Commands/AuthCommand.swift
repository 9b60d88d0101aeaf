import ArgumentParser
import Foundation
import MeshAuth
import MeshSupervision

/// `mesh-events auth`.
struct AuthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "auth",
        abstract: "Restrict access to users with roles, keys and TLS.",
        discussion: """
            `auth init DIR` makes a directory with a certificate authority, a server's certificate, one user for each \
            role, and the configuration of a nats-server that accepts only these users. `serve --auth DIR` runs with \
            it; so does any nats-server: nats-server -c DIR/nats-server.conf

            ROLES
            \(MeshRole.allCases.map { "  \($0.rawValue.padding(to: 10))\($0.summary)" }.joined(separator: "\n"))

            A tool or a node may consume the durables that are listed for it, by default one of its own name, after an \
            admin has created them (`mesh-events stream durable`). A node answers requests about its tools under its \
            own name only. Use nats-server 2.12 or newer: an older one takes the acknowledgement of an event for a \
            request, so that every user who may emit can empty the stream.

            A user needs two files, DIR/NAME.nk (its key, a secret) and DIR/ca.pem:
              mesh-events watch --nats tls://host:4222 --nkey alice.nk --tls-ca ca.pem
            or, in the environment, MESH_EVENTS_NKEY and MESH_EVENTS_TLS_CA. DIR/ca.key is for `auth renew` alone.

            A program without NKeys, as the Python SDK and programs in Go, logs in with a password (--password) and \
            finds the authority in SSL_CERT_FILE:
              export JB_NATS_URL=tls://garden:PASSWORD@host:4222 SSL_CERT_FILE=ca.pem

            EXAMPLES
              mesh-events auth init ~/mesh-auth --host mesh.local --host 192.168.1.5
              mesh-events serve --auth ~/mesh-auth --listen 0.0.0.0
              mesh-events auth add ~/mesh-auth alice --role observer
              mesh-events auth add ~/mesh-auth pi --role node    # for serve --node pi
              mesh-events auth add ~/mesh-auth mailer --role tool --durable alarms
              mesh-events stream durable alarms user.alarm \\
                --nkey ~/mesh-auth/admin.nk --tls-ca ~/mesh-auth/ca.pem
              mesh-events auth add ~/mesh-auth garden --role tool --password
              mesh-events auth remove ~/mesh-auth alice

            THE PAGE: --page gives an observer, operator or admin a token for the live page, DIR/NAME.page-token; the list \
            of its users is DIR/page.users. `auth init --https NAME`, or `auth renew --https NAME`, makes a certificate for \
            the page, DIR/page.pem and DIR/page.key. See `mesh-events dashboard --help`.

            A running server reads the users again on SIGHUP to `mesh-events serve`, or on nats-server --signal \
            reload. It then disconnects removed users.
            """,
        subcommands: [
            AuthInitCommand.self, AuthAddCommand.self, AuthAllowCommand.self, AuthRemoveCommand.self,
            AuthListCommand.self, AuthRenewCommand.self,
        ]
    )

    /// What is said of the server when users are made.
    static let versionAdvice =
        "use nats-server 2.12 or newer: an older one lets every user who may emit, a tool too, empty the stream"
}

extension String {
    fileprivate func padding(to columns: Int) -> String { TextWidth.padded(self, to: columns) }
}

/// The argument of all subcommands: the directory.
private struct AuthDirectoryOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The directory with users and certificates.", valueName: "dir"))
    var directory: String

    /// The hint that a running server reads changes on SIGHUP.
    static let reloading = "a running server reads it on SIGHUP"
}

extension MeshRole {
    /// The role of an option.
    static func named(_ text: String) throws -> MeshRole {
        if let role = MeshRole(rawValue: text) { return role }
        let roles = allCases.map(\.rawValue).joined(separator: ", ")
        throw CommandFailure(.usage, "the roles are \(roles)")
    }
}

/// `mesh-events auth init`.
private struct AuthInitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make users, keys, certificates and a server's configuration.",
        usage:
            "mesh-events auth init DIR [--host NAME ...] [--listen ADDRESS] [--node NAME ...] [--https NAME ...]",
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

    @OptionGroup var page: AuthPageOptions

    func run() async throws {
        try PresentDirectory.check(for: auth.directory)
        let directory = try AuthDirectory.create(
            at: auth.directory,
            hosts: hosts,
            listen: listen,
            nodes: nodes.isEmpty ? [NodeCapabilities.host] : nodes,
            pageHosts: page.hosts.isEmpty ? nil : page.hosts
        )
        let output = LineOutput.standard()
        try output.write("made \(SafeText.escaped(directory.path)): keep it private")
        try output.write(
            "users: \(directory.users.map(\.name).joined(separator: ", ")); more with `mesh-events auth add`"
        )
        try output.write("valid for: \(directory.hosts.map { SafeText.name($0) }.joined(separator: ", "))")
        try output.write("run it:  mesh-events serve --auth \(ShellWord.quoted(auth.directory))")
        try output.write("or:      nats-server -c \(ShellWord.quoted(directory.serverFile))")
        try output.write("         mesh-events stream create --nkey admin.nk --tls-ca ca.pem    # once, there")
        Diagnostics.say(AuthCommand.versionAdvice)
        if let line = AuthPageOptions.line(directory) { try output.write(line) }
        if LoopbackAddress.isOpen(listen) {
            Diagnostics.say("that nats-server listens on \(listen), for other machines too")
        }
    }
}

/// `mesh-events auth add`.
private struct AuthAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add a user with its own key.",
        usage:
            "mesh-events auth add DIR NAME --role tool|node|observer|operator|admin [--durable NAME ...] [--node NAME ...] "
            + "[--password] [--page]",
        discussion:
            "Without --durable and --node a tool or a node may consume the durable of its own name, after an admin has "
            + "created it (`mesh-events stream durable`), and a node answers for the node of its own name."
    )

    @OptionGroup var auth: AuthDirectoryOptions

    @Argument(help: ArgumentHelp("The user's name: letters, digits, '-', '_' and '.'.", valueName: "name"))
    var name: String

    @Option(
        help: ArgumentHelp("What the user may do; see `mesh-events auth --help`.", valueName: "role"),
        transform: MeshRole.named
    )
    var role: MeshRole

    @OptionGroup var names: AuthNameOptions

    @Flag(help: "Let the user log in with a password as well: for programs without NKeys.")
    var password = false

    @Flag(help: "Let the user log in to the live page: for observers, operators and admins.")
    var page = false

    func run() async throws {
        var directory = try AuthDirectory.open(at: auth.directory)
        let file = try directory.add(
            name,
            role: role,
            durables: names.durables.isEmpty ? nil : names.durables,
            nodes: names.nodes.isEmpty ? nil : names.nodes,
            password: password,
            page: page
        )
        let output = LineOutput.standard()
        try output.write(
            "\(name) may log in as \(role.rawValue) with \(SafeText.escaped(file)) and \(SafeText.escaped(directory.authorityFile))"
        )
        if password { try output.write(AuthNameOptions.password(name, directory)) }
        if page { try output.write(AuthNameOptions.page(name, directory)) }
        if let user = directory.users.first(where: { $0.name == name }) {
            for line in AuthNameOptions.lines(user) { try output.write(line) }
        }
        Diagnostics.say(AuthDirectoryOptions.reloading)
    }
}

/// `mesh-events auth allow`.
private struct AuthAllowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "allow",
        abstract: "Let a user take the events of more durables, answer for more nodes, or log in in more ways.",
        usage: "mesh-events auth allow DIR NAME [--durable NAME ...] [--node NAME ...] [--password] [--page]",
        discussion: "An admin creates the durable: `mesh-events stream durable NAME PATTERN`, once."
    )

    @OptionGroup var auth: AuthDirectoryOptions

    @Argument(help: ArgumentHelp("The user's name.", valueName: "name"))
    var name: String

    @OptionGroup var names: AuthNameOptions

    @Flag(help: "Let the user log in with a password as well: for programs without NKeys.")
    var password = false

    @Flag(help: "Let the user log in to the live page: for observers, operators and admins.")
    var page = false

    func run() async throws {
        guard !names.durables.isEmpty || !names.nodes.isEmpty || password || page else {
            throw CommandFailure(.usage, "name what to allow, for example --durable alarms")
        }
        var directory = try AuthDirectory.open(at: auth.directory)
        try directory.allow(
            name,
            durables: names.durables,
            nodes: names.nodes,
            password: password,
            page: page
        )
        guard let user = directory.users.first(where: { $0.name == name }) else { return }
        let output = LineOutput.standard()
        if password { try output.write(AuthNameOptions.password(name, directory)) }
        if page { try output.write(AuthNameOptions.page(name, directory)) }
        for line in AuthNameOptions.lines(user) { try output.write(line) }
        Diagnostics.say(AuthDirectoryOptions.reloading)
    }
}

/// The options for a user's durables and nodes. Each is named, because a server has no permission for part of a name.
private struct AuthNameOptions: ParsableArguments {
    @Option(
        name: .customLong("durable"),
        help: ArgumentHelp("A durable whose events the user may take; may be repeated.", valueName: "name")
    )
    var durables: [String] = []

    @Option(
        name: .customLong("node"),
        help: ArgumentHelp(
            "A node for which the user answers requests about tools; may be repeated.",
            valueName: "name"
        )
    )
    var nodes: [String] = []

    /// A line for people on how a user logs in with its password, without the password.
    static func password(_ name: String, _ directory: AuthDirectory) -> String {
        "\(name) may log in with the password in \(SafeText.escaped(directory.passwordFile(of: name))) too: "
            + "JB_NATS_URL=tls://\(name):PASSWORD@HOST:4222 SSL_CERT_FILE=ca.pem"
    }

    /// A line for people on how a user logs in to the live page, without the token.
    static func page(_ name: String, _ directory: AuthDirectory) -> String {
        "\(name) may log in to the page with the token in \(SafeText.escaped(directory.pageTokenFile(of: name))): "
            + "mesh-events dashboard --users \(SafeText.escaped(directory.pageUsersFile))"
    }

    /// The lines for people on a user's durables and nodes.
    static func lines(_ user: MeshUser) -> [String] {
        func list(_ names: [String]) -> String { names.map { SafeText.name($0) }.joined(separator: ", ") }
        var lines: [String] = []
        if !user.durables.isEmpty {
            lines.append("\(user.name) may take the events of the durables \(list(user.durables))")
        }
        if !user.nodes.isEmpty { lines.append("\(user.name) answers for the nodes \(list(user.nodes))") }
        return lines
    }
}

/// The names of the live page, for its certificate.
private struct AuthPageOptions: ParsableArguments {
    @Option(
        name: .customLong("https"),
        help: ArgumentHelp(
            "A name or address under which browsers reach the live page: makes its certificate. May be repeated.",
            valueName: "name"
        )
    )
    var hosts: [String] = []

    /// A line for people on the page's certificate; `nil` when there is none.
    static func line(_ directory: AuthDirectory) -> String? {
        guard !directory.pageHosts.isEmpty else { return nil }
        let (file, keyFile) = directory.pageCertificate
        return "the page: mesh-events dashboard --https-cert \(SafeText.escaped(file)) --https-key "
            + "\(SafeText.escaped(keyFile)), for \(directory.pageHosts.map { SafeText.name($0) }.joined(separator: ", "))"
    }
}

/// `mesh-events auth remove`.
private struct AuthRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Remove a user: its key is invalid after the server has read the users again.",
        usage: "mesh-events auth remove DIR NAME"
    )

    @OptionGroup var auth: AuthDirectoryOptions

    @Argument(help: ArgumentHelp("The user's name.", valueName: "name"))
    var name: String

    func run() async throws {
        var directory = try AuthDirectory.open(at: auth.directory)
        try directory.remove(name)
        try LineOutput.standard().write("removed \(SafeText.name(name))")
        Diagnostics.say(AuthDirectoryOptions.reloading + "; until then \(name) keeps access")
    }
}

/// `mesh-events auth list`.
private struct AuthListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show the users, their roles, and until when the certificate is valid.",
        usage: "mesh-events auth list DIR"
    )

    @OptionGroup var auth: AuthDirectoryOptions

    func run() async throws {
        let directory = try AuthDirectory.open(at: auth.directory)
        var table = TextTable(["USER", "ROLE", "PUBLIC KEY", "INBOX", "PASSWORD", "PAGE"])
        for user in directory.users {
            table.add([
                .name(user.name), .init(user.role.rawValue), .init(user.publicKey), .init(user.inbox),
                .init(directory.password(of: user.name) == nil ? "" : "yes"),
                .init(directory.isPageUser(user.name) ? "yes" : ""),
            ])
        }
        let output = LineOutput.standard()
        for line in table.lines(isColored: Terminal.output.usesColor()) { try output.write(line) }
        try output.write("")
        let hosts = directory.hosts.map { SafeText.name($0) }.joined(separator: ", ")
        let end = directory.certificateEnd.map { "until \($0.formatted(.iso8601.year().month().day()))" } ?? "missing"
        try output.write("certificate: \(end), for \(hosts)")
        if let line = AuthPageOptions.line(directory) { try output.write(line) }
    }
}

/// `mesh-events auth renew`.
private struct AuthRenewCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "renew",
        abstract: "Make the server's certificate anew, and the page's, for another 13 months or for more hosts.",
        usage: "mesh-events auth renew DIR [--host NAME ...] [--https NAME ...]",
        discussion: """
            The authority stays the same, so clients need no change. A page that runs reads its new certificate by \
            itself. With --https the page gets a certificate when it has none.
            """
    )

    @OptionGroup var auth: AuthDirectoryOptions

    @Option(
        name: .customLong("host"),
        help: ArgumentHelp("A name or address to add; may be repeated.", valueName: "name")
    )
    var hosts: [String] = []

    @OptionGroup var page: AuthPageOptions

    func run() async throws {
        var directory = try AuthDirectory.open(at: auth.directory)
        try directory.renew(adding: hosts, pageHosts: page.hosts.isEmpty ? nil : page.hosts)
        let list = directory.hosts.map { SafeText.name($0) }.joined(separator: ", ")
        let output = LineOutput.standard()
        try output.write("a new certificate, valid for \(list)")
        if let line = AuthPageOptions.line(directory) { try output.write(line) }
        Diagnostics.say(AuthDirectoryOptions.reloading)
    }
}
