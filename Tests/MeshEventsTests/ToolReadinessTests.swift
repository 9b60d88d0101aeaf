import MeshEvents
import Testing

/// What follows for a tool's readiness from its state and from what is said of it.
@Suite("Whether a tool is ready")
struct ToolReadinessTests {
    private static let states: [ToolState] = [
        .installed, .starting, .stopping, .backingOff, .failed, .stopped, .removed, ToolState(rawValue: "new"),
    ]

    @Test("one that runs is ready when it has shown it; when nothing is said, that is not known")
    func running() {
        #expect(ToolReadiness(.running, hasShown: true) == .ready)
        #expect(ToolReadiness(.running, hasShown: false) == .notReady)
        #expect(ToolReadiness(.running, hasShown: nil) == .unknown)
    }

    @Test("one that is unhealthy or does not run is not ready, whatever is said", arguments: [nil, false, true])
    func notRunning(hasShown: Bool?) {
        #expect(ToolReadiness(.running, hasShown: hasShown, isUnhealthy: true) == .notReady)
        for state in Self.states { #expect(ToolReadiness(state, hasShown: hasShown) == .notReady, "\(state)") }
    }

    @Test("what is not known does not keep others waiting")
    func suffices() {
        #expect(ToolReadiness.allCases.filter(\.suffices) == [.ready, .unknown])
    }

    @Test("the states that run or are about to")
    func active() {
        let active = (Self.states + [.running]).filter(\.isActive)
        #expect(Set(active) == [.starting, .running, .stopping, .backingOff])
    }
}
