import MeshEvents
import MeshLifecycle
import Testing

@Suite("What a node tells of itself")
struct NodeCapabilitiesTests {
    @Test func ofThisMachine() {
        let capabilities = NodeCapabilities.current(tools: 3)
        #expect(capabilities["tools"]?.int == 3)
        #expect((capabilities["cpus"]?.int ?? 0) > 0)
    }
}
