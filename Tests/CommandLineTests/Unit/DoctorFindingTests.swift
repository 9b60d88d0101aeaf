import Foundation
import MeshEvents
import MeshMonitoring
import NATSClient
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

    @Test(arguments: [
        ("nats://127.0.0.1", true), ("nats://localhost", true), ("nats://[::1]", true),
        ("nats://127.evil.example", false), ("nats://192.0.2.1", false),
    ])
    func aNameThatLooksLikeThisMachineIsAnother(address: String, isLocal: Bool) throws {
        let info = try JSONDecoder().decode(ServerInfo.self, from: Data("{}".utf8))
        let examination = ServerExamination(
            addresses: [try ServerAddress(address)],
            server: info,
            roundTrips: [.milliseconds(1)],
            isEncrypted: false,
            logsIn: false,
            account: .failure(JetStreamError(.timeout, "x"))
        )
        let login = examination.findings.first { $0.topic == "login" }
        #expect((login?.verdict == .fine) == isLocal, "\(login?.text ?? "")")
    }

    @Test func whatALoginMayNotSeeOfTheStreamIsNoFailure() {
        func verdict(_ code: MeshEventsError.Code) -> Finding.Verdict {
            StreamExamination.finding(about: MeshEventsError(code, "x"), of: "S").verdict
        }
        #expect(verdict(.permissionDenied) == .advice)
        #expect(verdict(.streamNotFound) == .failure && verdict(.timeout) == .failure)
    }
}
