/// The part of a nats-server's configuration that says who may do what, and with which certificate it shows itself.
struct ServerAccess {
    let users: [MeshUser]
    let certificateFile: String
    let keyFile: String

    var text: String {
        let users = users.sorted { $0.name < $1.name }.map(Self.user).joined(separator: "\n")
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

    private static func user(_ user: MeshUser) -> String {
        let permissions = user.permissions
        return """
                # \(user.name): \(user.role.rawValue)
                { nkey: \(user.publicKey)
                  permissions: {
                    publish: { allow: \(list(permissions.publish)) }
                    subscribe: { allow: \(list(permissions.subscribe)) }
                  }
                }
            """
    }

    private static func list(_ subjects: [String]) -> String {
        "[" + subjects.map(quoted).joined(separator: ", ") + "]"
    }

    /// A string of the server's configuration language.
    static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
