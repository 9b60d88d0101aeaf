import ArgumentParser
import MeshEventsSigning

/// `mesh-events key new`.
struct KeyNewCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new",
        abstract: "Make a key, and print its line for trust lists.",
        usage: "mesh-events key new FILE [--node NAME]",
        discussion: """
            FILE must not exist; only its owner may read it.

            EXAMPLES
              mesh-events key new node-a.nk --node node-a >> trust
            """
    )

    @Argument(help: ArgumentHelp("Where the key is written.", valueName: "file"))
    var file: String

    @OptionGroup var node: NodeOptions

    func run() async throws {
        let node = try node.name()
        let key = NodeSigningKey.generate()
        try key.write(to: file)
        try LineOutput.standard().write("\(SafeText.escaped(node)) \(key.publicKey)")
    }
}
