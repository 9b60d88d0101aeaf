import ArgumentParser
import MeshAuth

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
              JB_NATS_URL=tls://garden:PASSWORD@host:4222 SSL_CERT_FILE=ca.pem python3 tool.py

            EXAMPLES
              mesh-events auth init ~/mesh-auth --host mesh.local --host 192.168.1.5
              mesh-events serve --auth ~/mesh-auth --listen 0.0.0.0
              mesh-events auth add ~/mesh-auth alice --role observer
              mesh-events auth add ~/mesh-auth pi --role node           # for serve --node pi elsewhere
              mesh-events auth add ~/mesh-auth mailer --role tool --durable alarms
              mesh-events stream durable alarms user.alarm --nkey ~/mesh-auth/admin.nk --tls-ca ~/mesh-auth/ca.pem
              mesh-events auth add ~/mesh-auth garden --role tool --password
              mesh-events auth remove ~/mesh-auth alice

            A running server reads the users again on SIGHUP to `mesh-events serve`, or on nats-server --signal \
            reload. It then disconnects removed users.
            """,
        subcommands: [
            AuthInitCommand.self, AuthAddCommand.self, AuthAllowCommand.self, AuthRemoveCommand.self,
            AuthListCommand.self, AuthRenewCommand.self,
        ]
    )
}

extension String {
    fileprivate func padding(to columns: Int) -> String { TextWidth.padded(self, to: columns) }
}

/// The argument of all subcommands: the directory.
struct AuthDirectoryOptions: ParsableArguments {
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
