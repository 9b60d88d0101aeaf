/// The part of a nats-server's configuration with the users, their permissions, and the server's certificate.
struct ServerAccess {
    let users: [MeshUser]
    /// The passwords of the users that have one, by name.
    let passwords: [String: String]
    let certificateFile: String
    let keyFile: String

    var text: String {
        let users = users.sorted { $0.name < $1.name }.map(entries).joined(separator: "\n")
        return """
            # Written by `mesh-events auth`, which overwrites it: change users with `mesh-events auth add` and `remove`.
            tls {
              cert_file: \(Self.quoted(certificateFile))
              key_file: \(Self.quoted(keyFile))
              timeout: 5
            }
            authorization {
              users: [
            \(users)
              ]
            }

            """
    }

    /// Limits for all users. A server reads them when it starts; a reload does not change them. They suffice for
    /// durables.
    static let limits = """
        max_connections: 10000
        max_subscriptions: 1000
        max_payload: 1MB
        """

    /// The limits in JetStream's block: how many deliveries of a consumer may be without an answer.
    static let jetStreamLimits = "limits { max_ack_pending: \(maximumAcknowledgementsPending) }"
    /// As many as this package's durables ask for.
    static let maximumAcknowledgementsPending = 10_000

    /// The entries of a user: one for its key, and one for its password, if it has one.
    private func entries(_ user: MeshUser) -> String {
        let permissions = user.permissions
        let password = passwords[user.name]
            .map { "user: \(Self.quoted(user.name)), password: \(Self.quoted($0))" }
        return (["nkey: \(user.publicKey)"] + (password.map { [$0] } ?? [])).map { login in
            """
                # \(user.name): \(user.role.rawValue)
                { \(login)
                  permissions: {
                    publish: { allow: \(Self.list(permissions.publish)) }
                    subscribe: { allow: \(Self.list(permissions.subscribe)) }
                  }
                }
            """
        }.joined(separator: "\n")
    }

    private static func list(_ subjects: [String]) -> String {
        "[" + subjects.map(quoted).joined(separator: ", ") + "]"
    }

    /// A string of the server's configuration language.
    static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
