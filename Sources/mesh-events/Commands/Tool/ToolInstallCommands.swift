import ArgumentParser
import MeshEvents
import MeshEventsNATS
import MeshMonitoring
import MeshSupervision

/// `mesh-events tool install`.
struct ToolInstallCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "install",
        abstract: "Install a tool on a node, and start it.",
        discussion: """
            The file is one tool, in YAML or JSON, as one of the tools of mesh.yaml (`mesh-events serve --help`):

              name: whisper
              version: "1.4.0"
              command: [python3, /opt/whisper/whisper.py]
              env: {HF_TOKEN: "${HF_TOKEN}"}

            That can run any program on the node, so the node must have been started with `serve --allow-install`. The \
            program must be there already: no files are copied. Relative paths start from the directory of the node's \
            manifest. Variables (${NAME}) are those of the node: this command replaces none and sends no value of yours.

            The tool stays until the node ends, or reads its manifest again (SIGHUP): then the node has the tools of its \
            manifest, no others.

            EXAMPLES
              mesh-events tool install --config whisper.yaml --node gpu-1
            """
    )

    @OptionGroup var file: ToolFileOptions

    @Option(help: ArgumentHelp("The node to install it on. Default: the only one of the mesh.", valueName: "name"))
    var node: String?

    @OptionGroup var request: ToolPlainOptions

    func run() async throws {
        let document = try file.document()
        try await request.perform(.install, on: document.name, node: node, specification: document.json) { mesh in
            let names = mesh.nodes.filter { $0.status != .left }.map(\.name).sorted()
            guard names.count == 1 else {
                let list = names.prefix(20).map(SafeText.name).joined(separator: ", ")
                throw CommandFailure(.usage, "the mesh has \(names.count) nodes (\(list)); say which with --node")
            }
            return names
        }
    }
}

/// `mesh-events tool upgrade`.
struct ToolUpgradeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade",
        abstract: "Give a tool another specification; start it again, unless it was stopped.",
        discussion: """
            The file is as for `mesh-events tool install`, and so are the conditions. When the new program is missing, \
            the tool runs on unchanged.

            EXAMPLES
              mesh-events tool upgrade whisper --config whisper.yaml
              mesh-events tool upgrade whisper --config whisper.yaml \\
                --all --one-by-one --wait-ready
            """
    )

    @OptionGroup var file: ToolFileOptions
    @OptionGroup var request: ToolRequestOptions

    func run() async throws {
        let document = try file.document()
        let tool = try NamedTool(request.tool, node: request.node).tool
        guard document.name == tool else {
            throw CommandFailure(
                .badData,
                "\(file.config) is about the tool \(document.name), not \(tool.debugDescription)"
            )
        }
        try await request.perform(.upgrade, specification: document.json)
    }
}

/// The option with the file of a tool.
struct ToolFileOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The file with the tool's specification.", valueName: "file"))
    var config: String

    /// Reads the file.
    ///
    /// - Throws: `CommandFailure`. Several mistakes are printed before that, each on its own line.
    func document() throws -> ToolDocument {
        do throws(ManifestError) {
            return try ToolDocument.load(config)
        } catch {
            throw error.saidFailure()
        }
    }
}
