import MeshEvents
import MeshMonitoring
import Testing

@testable import mesh_events

/// What `doctor` says of what it was told.
@Suite struct DoctorFindingTests {
    private func finding(
        _ topic: String,
        _ watching: MeshExamination.Watching,
        _ mesh: MeshExamination.State
    ) -> Finding? {
        MeshExamination(lead: .zero, leads: [], keeper: nil, watching: watching, mesh: mesh).findings
            .first { $0.topic == topic }
    }

    @Test func whatCouldNotBeReadIsNotCalledMissing() {
        let unknown = finding("alerts", .unknown, .unreadable)
        #expect(unknown?.verdict == .advice && unknown?.text.contains("none are set up") == false)
        #expect(finding("alerts", .neverSetUp, .unreadable)?.text.contains("none are set up") == true)
        #expect(finding("alerts", .ended, .unreadable)?.verdict == .failure)
        #expect(finding("alerts", .held, .unreadable)?.verdict == .fine)
    }

    @Test func nodesThatAreReadTooLateAreAFailureAndUnreadableOnesAreNot() {
        #expect(finding("nodes", .held, .late)?.verdict == .failure)
        #expect(finding("nodes", .held, .unreadable) == nil)
        #expect(finding("nodes", .held, .known(MeshState()))?.verdict == .advice)
    }

    @Test func whatALoginMayNotSeeOfTheStreamIsNoFailure() {
        func verdict(_ code: MeshEventsError.Code) -> Finding.Verdict {
            StreamExamination.finding(about: MeshEventsError(code, "x"), of: "S").verdict
        }
        #expect(verdict(.permissionDenied) == .advice)
        #expect(verdict(.streamNotFound) == .failure && verdict(.timeout) == .failure)
    }
}
