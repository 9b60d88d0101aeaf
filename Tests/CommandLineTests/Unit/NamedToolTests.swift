import Testing

@testable import mesh_events

/// How `tool` commands are told of which tool on which node.
@Suite struct NamedToolTests {
    @Test(arguments: [
        ("whisper", nil, nil, "whisper"), ("whisper", "pi", "pi", "whisper"), ("pi/whisper", nil, "pi", "whisper"),
        ("pi/whisper", "pi", "pi", "whisper"), ("a/b/whisper", nil, "a/b", "whisper"), ("", nil, nil, ""),
    ])
    func aNodeMayStandBeforeTheTool(_ text: String, _ option: String?, _ node: String?, _ tool: String) throws {
        let named = try NamedTool(text, node: option)
        #expect(named.node == node && named.tool == tool)
    }

    @Test(arguments: [("pi/whisper", "gpu"), ("pi/whisper", ""), ("/whisper", nil), ("pi/", nil), ("/", nil)])
    func whatIsHalfANameOrNamesTwoNodesIsRefused(_ text: String, _ option: String?) {
        #expect(throws: CommandFailure.self) { try NamedTool(text, node: option) }
    }
}
