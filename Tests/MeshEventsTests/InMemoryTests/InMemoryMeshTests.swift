import MeshEvents
import Testing

@testable import MeshEventsTesting

struct InMemoryMeshTests {
    @Test(
        arguments: [
            ("a.b", "a.b", true), ("a.b", "a.c", false), ("a.b", "a", false), ("a", "a.b", false),
            ("*", "a", true), ("*", "a.b", false), ("a.*", "a.b", true), ("a.*", "a", false),
            ("*.b", "a.b", true), (">", "a", true), (">", "a.b.c", true), ("a.>", "a", false),
            ("a.>", "a.b", true), ("a.>", "a.b.c", true), ("a.*.>", "a.b", false), ("a.*.>", "a.b.c", true),
            ("a.b*", "a.bc", false), ("a.>b", "a.c", false), ("ab", "a", false), ("a", "ab", false),
        ] as [(String, String, Bool)]
    )
    func subjectsMatchByNATSsRules(_ pattern: String, _ subject: String, _ expected: Bool) {
        #expect(SubjectMatcher.matches(pattern: Array(pattern.utf8), subject: Array(subject.utf8)) == expected)
    }

    @Test func subjectsAndPatternsAreChecked() {
        for subject in ["a", "a.b", "a*.b", "ä.b"] { #expect(SubjectMatcher.isSubject(Array(subject.utf8))) }
        for subject in ["", ".a", "a.", "a..b", "a b", "a\r\nb", "*", "a.>", ">"] {
            #expect(!SubjectMatcher.isSubject(Array(subject.utf8)), "\(subject)")
        }
        for pattern in ["a", "*", ">", "a.*.>"] { #expect(SubjectMatcher.isPattern(Array(pattern.utf8))) }
        for pattern in ["", "a..b", "a.>.b", "a b"] { #expect(!SubjectMatcher.isPattern(Array(pattern.utf8))) }
    }

    @Test(.timeLimit(.minutes(1))) func aFlushWhileDeliveryIsHeldBackTimesOut() async throws {
        let mesh = InMemoryMesh()
        let bus = EventBus(transport: InMemoryTransport(mesh), node: "n")
        mesh.pause()
        let error = await #expect(throws: MeshEventsError.self) { try await bus.flush(timeout: .milliseconds(20)) }
        #expect(error?.code == .timeout)
        mesh.resume()
        try await bus.flush()
    }
}
