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

    private static func user(_ user: MeshUser) -> String {
        let permissions = user.permissions
        let answers = permissions.answersRequests ? "\n        allow_responses: { max: 1, expires: \"10m\" }" : ""
        return """
                # \(user.name): \(user.role.rawValue)
                { nkey: \(user.publicKey)
                  permissions: {
                    publish: { allow: \(list(permissions.publish)) }
                    subscribe: { allow: \(list(permissions.subscribe)) }\(answers)
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
