import LocalNATSServer
import TestSupport
import Testing

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Most of these run `local-nats-server-fixture`, a parent that can be killed.
@Suite("A server is never left behind")
struct LeftBehindTests {
    @Test("SIGKILL of the parent ends the server within 2 s and removes its store", arguments: NATSServers.all)
    func parentKilled(_ binary: NATSServers.Binary) async throws {
        try await Fixture.run(binary) { fixture in
            #expect(TestProcess.exists(fixture.serverPID))
            #expect(TemporaryDirectory.exists(fixture.store))
            fixture.signal(SIGKILL)
            try await expectNothingLeft(of: fixture)
        }
    }

    @Test("A parent that exits without stopping the server ends it")
    func parentExits() async throws {
        try await Fixture.run(NATSServers.first, "exit") { try await expectNothingLeft(of: $0) }
    }

    @Test("SIGKILL of the parent ends a suspended server too")
    func suspended() async throws {
        try await Fixture.run(NATSServers.first) { fixture in
            TestProcess.signal(fixture.serverPID, SIGSTOP)
            fixture.signal(SIGKILL)
            try await expectNothingLeft(of: fixture)
        }
    }

    @Test("A Ctrl-C for the parent's process group does not reach the server")
    func interrupt() async throws {
        try await Fixture.run(NATSServers.first, "survive") { fixture in
            #expect(TestProcess.group(of: fixture.serverPID) != TestProcess.group(of: fixture.pid))
            fixture.signalGroup(SIGINT)
            let said = try await withDeadline(.seconds(5), "the parent to notice") {
                await fixture.laterLines.first { _ in true }
            }
            #expect(said == "interrupted")
            _ = try await RawClient.greeting(port: fixture.serverPort)
            #expect(TestProcess.exists(fixture.serverPID))
        }
    }

    @Test("A server whose guard is killed ends, and its owner is told", arguments: NATSServers.all)
    func guardKilled(_ binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let pid = try #require(server.pid)
            let guards = TestProcess.groupMembers(of: TestProcess.group(of: pid)).filter { $0 != pid }
            #expect(!guards.isEmpty)
            for member in guards { TestProcess.signal(member, SIGKILL) }
            let ended = try await withDeadline(.seconds(2), "the end of the server") { try await server.termination }
            #expect(ended.reason == .signaled(9))
            #expect(!ended.wasRequested)
            try await server.restart()
            #expect(server.isRunning)
        }
    }

    private func expectNothingLeft(of fixture: Fixture) async throws {
        try await eventually("server \(fixture.serverPID) and its guard to end") {
            !TestProcess.exists(fixture.serverPID) && !TestProcess.groupExists(fixture.serverGroup)
        }
        try await eventually("\(fixture.store) to go") {
            !TemporaryDirectory.exists(fixture.store)
        }
    }
}
