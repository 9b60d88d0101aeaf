import MeshEvents
import TestSupport
import Testing

@testable import MeshSupervision

@Suite struct ToolDocumentTests {
    private static let text = """
        name: whisper
        version: "1.10"
        command: [python3, tools/x.py, --port, 8080, 007, 0x10]
        env: {TOKEN: "${SECRET_OF_THE_NODE}", PLAIN: "$${x}"}
        config: {n: 1.50, octal: 007, on: true, none: ~, text: "8"}
        reload: usr1

        """

    @Test func variablesArriveAsTheyAreWrittenAndTheNodeReplacesThem() throws {
        let document = try ToolDocument.parse(Self.text)
        #expect(document.name == "whisper")
        #expect(document.json["env"]?["TOKEN"]?.string == "${SECRET_OF_THE_NODE}")
        let tool = try ToolDocument.specification(
            document.json,
            directory: "/srv/node",
            variables: ["SECRET_OF_THE_NODE": "the node's own"]
        )
        #expect(tool.environment == ["TOKEN": "the node's own", "PLAIN": "${x}"])
        #expect(tool.confidential == ["the node's own"], "what came from a variable is never published")
        #expect(tool.directory == "/srv/node" && tool.version == "1.10" && tool.reloadSignal?.name == "SIGUSR1")
        // As the same text in the node's own manifest.
        let lines = Self.text.split(separator: "\n").map { "    \($0)" }.joined(separator: "\n")
        let manifest = try ToolManifest.parse(
            "tools:\n  -\n\(lines)\n",
            file: "/srv/node/mesh.yaml",
            variables: ["SECRET_OF_THE_NODE": "the node's own"]
        )
        #expect(tool.command == manifest.tools[0].command && tool.command.suffix(2) == ["007", "0x10"])
        #expect(tool.configuration == manifest.tools[0].configuration)
        #expect(tool.environment == manifest.tools[0].environment)
    }

    @Test func aVariableThatTheNodeLacksIsAMistakeThatNamesIt() throws {
        let document = try ToolDocument.parse(Self.text)
        let error = #expect(throws: ManifestError.self) {
            try ToolDocument.specification(document.json, directory: "/", variables: [:])
        }
        #expect(error?.description.contains("SECRET_OF_THE_NODE") == true)
    }

    @Test func allMistakesAreSaidWithTheirPlace() {
        let text = "name: -x\nversion: 1.10\ncommand: a b\nrelaod: HUP\n"
        let error = #expect(throws: ManifestError.self) { try ToolDocument.parse(text, file: "t.yaml") }
        let lines = error?.description.split(separator: "\n").map { String($0.prefix(9)) } ?? []
        #expect(lines.contains { $0.hasPrefix("t.yaml:1:") } && lines.contains { $0.hasPrefix("t.yaml:2:") })
        #expect(lines.contains { $0.hasPrefix("t.yaml:3:") } && lines.contains { $0.hasPrefix("t.yaml:4:") })
        #expect(error?.description.contains("did you mean 'reload'") == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [
        "", "[]", "a", "tools: []", "tools:\n  - name: a\n    version: a\n    command: [a]\n", "node: x",
        "name: a\nversion: v\ncommand: [x]\nreload: NOPE\n", "name: a\n",
    ]) func whatIsNoToolIsRefused(text: String) {
        #expect(throws: ManifestError.self) { try ToolDocument.parse(text) }
    }

    @Test func aDocumentThatExpandsToTooMuchIsRefused() {
        var text = "name: a\nversion: v\ncommand: [x]\nconfig:\n  a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]\n"
        for level in 1..<8 {
            let list = Array(repeating: "*a\(level - 1)", count: 4).joined(separator: ", ")
            text += "  a\(level): &a\(level) [\(list)]\n"
        }
        #expect(throws: ManifestError.self) { try ToolDocument.parse(text) }
    }

    @Test func aFileThatOthersMayWriteIsRefused() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.file("tool.yaml", Self.text)
        #expect(try ToolDocument.load(path).name == "whisper")
        let open = try directory.file("open.yaml", Self.text, mode: 0o666)
        let error = #expect(throws: ManifestError.self) { try ToolDocument.load(open) }
        #expect(error?.description.contains("others may write") == true)
    }
}
