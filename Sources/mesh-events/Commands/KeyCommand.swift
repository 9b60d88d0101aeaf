import ArgumentParser
import MeshEventsSigning

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

/// `mesh-events key new`.
private struct KeyNewCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new",
        abstract: "Make a key, and print its line for trust lists.",
        usage: "mesh-events key new FILE [--node NAME] [--keeper]",
        discussion: """
            FILE must not exist; only its owner may read it.

            EXAMPLES
              mesh-events key new node-a.nk --node node-a >> trust
            """
    )

    @Argument(help: ArgumentHelp("Where the key is written.", valueName: "file"))
    var file: String

    @OptionGroup var line: TrustLineOptions

    func run() async throws {
        let node = try line.name()
        let key = NodeSigningKey.generate()
        try key.write(to: file)
        try LineOutput.standard().write(line.text(node, key))
    }
}

/// The options for the line of a key in trust lists.
private struct TrustLineOptions: ParsableArguments {
    @OptionGroup var node: NodeOptions

    @Flag(help: "The node is trusted to keep the state of the mesh as well: `serve` and `keep` do that.")
    var keeper = false

    /// The node's name.
    ///
    /// - Throws: `CommandFailure` for a name that a trust list cannot have.
    func name() throws -> String {
        let name = try node.name()
        guard let first = name.first, let last = name.last, !first.isWhitespace, !last.isWhitespace,
            !name.contains("#"), SafeText.escaped(name) == name
        else {
            throw CommandFailure(
                .usage,
                "\(name.debugDescription) cannot stand in a trust list: a name there has no #, no control characters, and no "
                    + "space at its ends"
            )
        }
        return name
    }

    func text(_ node: String, _ key: NodeSigningKey) -> String {
        "\(node) \(key.publicKey)\(keeper ? " keeper" : "")"
    }
}

/// `mesh-events key show`.
private struct KeyShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print a key's line for trust lists: the node's name and the public key.",
        usage: "mesh-events key show FILE [--node NAME] [--keeper]",
        discussion: """
            EXAMPLES
              mesh-events key show node-a.nk --node node-a
            """
    )

    @Argument(help: ArgumentHelp("The file with the key.", valueName: "file"))
    var file: String

    @OptionGroup var line: TrustLineOptions

    func run() async throws {
        let key = try NodeSigningKey(file: file)
        try LineOutput.standard().write(line.text(try line.name(), key))
    }
}
