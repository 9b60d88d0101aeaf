/// The part of a nats-server's configuration that says who may do what, and with which certificate it shows itself.
struct ServerAccess {
    let users: [MeshUser]
    /// The passwords of those who have one, by name.
    let passwords: [String: String]
    let certificateFile: String
    let keyFile: String

    var text: String {
        let users = users.sorted { $0.name < $1.name }.map(entries).joined(separator: "\n")
        return """
            # Written by `mesh-events auth`, which writes it anew: change users with `mesh-events auth add` and `remove`.
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

    /// Limits for everybody, as a server reads them when it starts; a reload does not change them. What a durable asks for
    /// lies within.
    static let limits = """
        max_connections: 10000
        max_subscriptions: 1000
        max_payload: 1MB
        """

    /// Limits of JetStream, a member of its block: a consumer may have so many deliveries without an answer.
    static let jetStreamLimits = "limits { max_ack_pending: \(maximumAcknowledgementsPending) }"
    /// As many as a durable of ours asks for.
    static let maximumAcknowledgementsPending = 10_000

    /// A user, by its key and by its password.
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
