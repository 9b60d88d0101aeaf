import ArgumentParser

/// `mesh-events key`.
struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "Make a key with which a node signs its events, or show its public half.",
        discussion: """
            A key is an NKey seed (Ed25519) in a file that only its owner may read; a key for the login to a server \
            (`--nkey`) can sign too. Both commands print the line for the trust lists of other users.

            EXAMPLES
              mesh-events key new node-a.nk --node node-a >> trust
              mesh-events emit user.done --node node-a --sign-key node-a.nk
              mesh-events watch --trust trust
              mesh-events key show node-a.nk --node node-a
            """,
        subcommands: [KeyNewCommand.self, KeyShowCommand.self]
    )
}
