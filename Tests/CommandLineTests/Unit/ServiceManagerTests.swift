import MeshSupervision
import Testing

@testable import mesh_events

@Suite struct ServiceManagerTests {
    @Test(
        arguments: [
            ([], "pi: no tools"), ([.running], "pi: 1 tool running"), ([.failed], "pi: 0 tools running, 1 failed"),
            ([.running, .failed, .running, .running], "pi: 3 tools running, 1 failed"),
            (
                [.installed, .starting, .stopping, .stopped, .backingOff, .backingOff],
                "pi: 0 tools running, 2 backing off, 1 starting, 1 stopping, 1 stopped, 1 not started"
            ),
        ] as [([ToolStatus.State], String)]
    ) func theStateIsOneLine(states: [ToolStatus.State], line: String) {
        #expect(ServiceManager.line(node: "pi", states) == line)
    }

    @Test func aNameCannotBeginAnotherLine() {
        #expect(ServiceManager.line(node: "a\nREADY=1", []) == #"a\u000aREADY=1: no tools"#)
    }
}
