import MeshEvents
import MeshSupervision
import TestSupport
import Testing

/// What of its node's environment a tool gets.
@Suite("The environment of tools")
struct ToolEnvironmentTests {
    private static let node = [
        "PATH": "/usr/bin:/bin", "HOME": "/home/me", "LANG": "C", "LC_TIME": "de", "TZ": "UTC", "TMPDIR": "/tmp",
        "AWS_SECRET_ACCESS_KEY": "a", "GITHUB_TOKEN": "b", "LD_PRELOAD": "c", "MESH_EVENTS_DASHBOARD_TOKEN": "d",
        "MESH_EVENTS_PASSWORD": "e", "DATABASE_URL": "f", "LANGUAGE": "g", "HOMEBREW": "h",
        "MESH_EVENTS_TLS_CA": "/ca.pem",
    ]

    @Test("of this process's it is little")
    func little() throws {
        let environment = ToolEnvironment(url: "nats://h", node: "n")
        let allowed = ToolEnvironment.standardNames + ["MESH_EVENTS_", "JB_NATS_CREDS"]
        for name in environment.inherited.keys { #expect(allowed.contains { name.hasPrefix($0) }, "\(name)") }
    }

    @Test("what is named is passed on, and nothing of it wins over what the node says")
    func named() {
        let environment = ToolEnvironment(
            url: "nats://h",
            node: "n",
            extra: ["MESH_EVENTS_NKEY": "/key"],
            inherited: ["PATH": "/bin"],
            available: Self.node
        )
        var tool = ToolSpecification(name: "t", version: "1", command: ["a"])
        let few = [
            "PATH", "JB_NATS_URL", "JB_NODE_NAME", "JB_TOOL_NAME", "JB_TOOL_CONFIG", "MESH_EVENTS_NKEY",
            "PYTHONUNBUFFERED",
        ]
        #expect(Set(environment.variables(for: tool).keys) == Set(few))
        tool.inherit = ["DATABASE_URL", "ABSENT", "JB_NODE_NAME", "MESH_EVENTS_NKEY"]
        let variables = environment.variables(for: tool)
        #expect(Set(variables.keys) == Set(few + ["DATABASE_URL"]))
        #expect(variables["DATABASE_URL"] == "f" && variables["JB_NODE_NAME"] == "n")
        #expect(variables["MESH_EVENTS_NKEY"] == "/key")
        tool.environment = ["DATABASE_URL": "own"]
        #expect(environment.variables(for: tool)["DATABASE_URL"] == "own")
    }

    @Test("Python does not keep its output back, unless the tool or the node says otherwise")
    func unbuffered() {
        var environment = ToolEnvironment(url: "nats://h", node: "n", inherited: [:], available: [:])
        var tool = ToolSpecification(name: "t", version: "1", command: ["a"])
        #expect(environment.variables(for: tool)["PYTHONUNBUFFERED"] == "1")
        environment.inherited = ["PYTHONUNBUFFERED": "x"]
        #expect(environment.variables(for: tool)["PYTHONUNBUFFERED"] == "x")
        environment.available = ["PYTHONUNBUFFERED": "2"]
        tool.inherit = ["PYTHONUNBUFFERED"]
        #expect(environment.variables(for: tool)["PYTHONUNBUFFERED"] == "2")
        tool.environment = ["PYTHONUNBUFFERED": ""]
        #expect(environment.variables(for: tool)["PYTHONUNBUFFERED"] == "")
    }

    @Test("a name that is none is refused", arguments: ["", "A=B", "A\0"])
    func refused(name: String) {
        let tool = ToolSpecification(name: "t", version: "1", command: ["a"], inherit: [name])
        #expect(throws: ToolError.self) { try tool.validate() }
    }
}
