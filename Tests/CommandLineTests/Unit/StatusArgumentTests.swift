import MeshEvents
import MeshMonitoring
import Testing

@testable import mesh_events

/// How `status` finds the node or the tool that its argument names.
@Suite struct StatusArgumentTests {
    private static func mesh(_ tools: [String: [String]]) -> MeshState {
        var mesh = MeshState()
        for (node, tools) in tools {
            mesh.apply(Event(.nodeJoined, node: node, timestamp: .now))
            for tool in tools {
                mesh.apply(Event(.toolStarted, node: node, timestamp: .now, data: ["tool": .string(tool)]))
            }
        }
        return mesh
    }

    private let mesh = mesh([
        "pi": ["whisper", "a/b"], "a": ["b", "b/c", "x/y"], "a/b": ["c"], "a/x": ["y"], "/": ["t"], "gpu-1": [],
    ])

    private func found(_ text: String, tool: String? = nil) throws -> String {
        let subject = try StatusArgument(text: text, tool: tool).subject(in: mesh)
        return [subject.node.name, subject.tool?.name].compactMap { $0 }.joined(separator: " | ")
    }

    @Test func aNodeOfExactlyThisNameComesFirst() throws {
        #expect(try found("pi") == "pi")
        #expect(try found("pi/whisper") == "pi | whisper")
        #expect(try found("pi/a/b") == "pi | a/b")
        // The node a has a tool b, too.
        #expect(try found("a/b") == "a/b")
        #expect(try found("a", tool: "b") == "a | b")
        #expect(try found("/") == "/")
        #expect(try found("//t") == "/ | t")
        #expect(try found("a/b", tool: "c") == "a/b | c")
    }

    @Test func whatCanBeTwoToolsIsToBeSaidApart() throws {
        let failure = try #require(throws: CommandFailure.self) { try found("a/b/c") }
        #expect(failure.code == .usage)
        #expect(failure.message == #""a/b/c" can be several tools; give "a" --tool "b/c", or "a/b" --tool "c""#)
        #expect(throws: CommandFailure.self) { try found("a/x/y") }
        #expect(try found("a", tool: "b/c") == "a | b/c")
    }

    @Test func aToolThatIsThereCountsBeforeOneThatWasRemoved() throws {
        var mesh = mesh
        mesh.apply(Event(.toolRemoved, node: "a", timestamp: .now, data: ["tool": "b/c"]))
        let subject = try StatusArgument(text: "a/b/c", tool: nil).subject(in: mesh)
        #expect(subject.node.name == "a/b" && subject.tool?.name == "c")
    }

    @Test(
        arguments: [
            ("p", nil, #"nothing is known of a node "p"; did you mean pi?"#),
            ("GPU-2", nil, #"nothing is known of a node "GPU-2"; did you mean gpu-1?"#),
            ("gpu", nil, #"nothing is known of a node "gpu"; did you mean gpu-1?"#),
            ("nowhere", nil, #"nothing is known of a node "nowhere"; `mesh-events node list` shows all nodes"#),
            ("nowhere/t", nil, #"nothing is known of a node "nowhere/t"; `mesh-events node list` shows all nodes"#),
            ("whisper", nil, #"nothing is known of a node "whisper", but of a tool; did you mean pi/whisper?"#),
            ("b/c", nil, #"nothing is known of a node "b/c", but of a tool; did you mean a/b/c?"#),
            ("pi/wisper", nil, #"node "pi" has no tool "wisper"; did you mean whisper?"#),
            ("pi", "zzzzzz", #"node "pi" has no tool "zzzzzz"; `mesh-events status` shows its tools"#),
            (
                "p\u{1B}[2J\ni", nil,
                #"nothing is known of a node "p\u{1B}[2J\ni"; `mesh-events node list` shows all nodes"#
            ),
        ] as [(String, String?, String)]
    )
    func whatIsNotKnownHasNamesThatAreLikeIt(text: String, tool: String?, message: String) throws {
        let failure = try #require(throws: CommandFailure.self) { try found(text, tool: tool) }
        #expect(failure.code == .unavailable && failure.message == message, "\(failure.message)")
    }

    @Test func namesThatAreLikeItAreFewAndTheNearestFirst() {
        let names = (10...99).map { "node-\($0)" } + ["node-7", "zebra", String(repeating: "node-77", count: 10_000)]
        let similar = SimilarNames.of("node-77", among: names)
        #expect(similar.count == 5 && similar[0] == "node-77" && similar[1].hasPrefix("node-"))
        #expect(
            SimilarNames.of("", among: names).isEmpty && SimilarNames.of("y", among: ["x", "yz"]) == ["yz"]
                && SimilarNames.of("node", among: []).isEmpty
        )
        #expect(SimilarNames.question("xyz", among: ["xyz\u{1B}"])?.contains("\u{1B}") == false)
    }
}
