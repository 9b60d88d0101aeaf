import ArgumentParser
import MeshEventsSigning

/// `mesh-events key show`.
struct KeyShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print a key's line for trust lists: the node's name and the public key.",
        usage: "mesh-events key show FILE [--node NAME]",
        discussion: """
            EXAMPLES
              mesh-events key show node-a.nk --node node-a
            """
    )

    @Argument(help: ArgumentHelp("The file with the key.", valueName: "file"))
    var file: String

    @OptionGroup var node: NodeOptions

    func run() async throws {
        let key = try NodeSigningKey(file: file)
        try LineOutput.standard().write("\(SafeText.escaped(try node.name())) \(key.publicKey)")
    }
}
