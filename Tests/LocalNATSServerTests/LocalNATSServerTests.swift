import LocalNATSServer
import TestSupport
import Testing

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif
#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

@Suite("A local server")
struct LocalNATSServerTests {
    @Test("Starts on a free port, accepts clients, and leaves nothing behind when stopped", arguments: NATSServers.all)
    func startAndStop(_ binary: NATSServers.Binary) async throws {
        let (pid, group, store) = try await withServer(binary) { server in
            #expect(server.isRunning)
            #expect(server.version.hasPrefix("2."))
            #expect(server.url == "nats://127.0.0.1:\(server.port)")
            let greeting = try await RawClient.greeting(port: server.port)
            #expect(greeting.contains("\"version\":\"\(server.version)\""))
            #expect(greeting.contains("\"jetstream\":true"))
            #expect(FileManager.default.fileExists(atPath: server.storeDirectory))
            let pid = try #require(server.pid)
            return (pid, TestProcess.group(of: pid), server.storeDirectory)
        }
        #expect(!TestProcess.exists(pid))
        // Its guard has been killed, which takes the system a moment.
        try await eventually("the guard to end") { !TestProcess.groupExists(group) }
        #expect(!FileManager.default.fileExists(atPath: store))
    }

    @Test("Two servers at once get different ports")
    func twoServers() async throws {
        try await withServer { first in
            try await withServer { second in #expect(first.port != second.port) }
        }
    }

    @Test("A second stop does nothing, and a restart after it is refused")
    func stopTwice() async throws {
        try await withServer { server in
            await server.stop()
            await server.stop()
            #expect(!server.isRunning)
            let error = await #expect(throws: LocalNATSServerError.self) { try await server.restart() }
            #expect(error?.code == .stopped)
        }
    }

    @Test("A restart keeps the port and the store, after a kill too", arguments: NATSServers.all)
    func restart(_ binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let before = try #require(server.pid)
            let marker = server.storeDirectory + "/marker"
            #expect(FileManager.default.createFile(atPath: marker, contents: Data("kept".utf8)))
            let created = try await RawClient.request(
                "$JS.API.STREAM.CREATE.S",
                #"{"name":"S","subjects":["s"]}"#,
                port: server.port
            )
            #expect(created.contains("\"did_create\":true"), "\(created)")

            try await server.restart()
            await server.kill()
            #expect(!server.isRunning)
            try await server.restart()

            #expect(server.isRunning)
            #expect(server.pid != before)
            #expect(FileManager.default.fileExists(atPath: marker))
            let found = try await RawClient.request("$JS.API.STREAM.INFO.S", "", port: server.port)
            #expect(found.contains("\"name\":\"S\""), "\(found)")
        }
    }

    @Test("A named store directory is created, and kept when the server stops")
    func namedStore() async throws {
        let directory = try TemporaryDirectory()
        let store = directory.path + "/not/yet \"there\""
        try await withServer(NATSServers.first, .init(storeDirectory: store)) { server in
            #expect(server.storeDirectory == store)
        }
        #expect(FileManager.default.fileExists(atPath: store))
    }

    @Test("Without JetStream there is none, and further configuration lines count")
    func options() async throws {
        let configuration = LocalNATSServer.Configuration(
            serverName: "one",
            jetStream: false,
            maxPayload: 4321,
            extraConfiguration: "authorization { token: \"secret\" }"
        )
        try await withServer(NATSServers.first, configuration) { server in
            let greeting = try await RawClient.greeting(port: server.port)
            #expect(!greeting.contains("\"jetstream\":true"))
            for member in ["\"server_name\":\"one\"", "\"max_payload\":4321", "\"auth_required\":true"] {
                #expect(greeting.contains(member))
            }
        }
    }

    @Test("Its end is told with its reason: asked for, or not")
    func termination() async throws {
        try await withServer { server in
            let pid = try #require(server.pid)
            async let ended = server.termination
            TestProcess.signal(pid, SIGKILL)
            let crash = try await withDeadline(.seconds(5), "the end") { try await server.termination }
            #expect(crash.reason == .signaled(9))
            #expect(!crash.wasRequested)
            #expect(!crash.lastLines.isEmpty)
            #expect(try await ended.reason == .signaled(9))
            #expect(server.pid == nil)

            try await server.restart()
            await server.kill()
            #expect(try await server.termination.wasRequested)
        }
    }

    @Test("Who waits for its end can be cancelled")
    func terminationCancelled() async throws {
        try await withServer { server in
            let task = Task { try await server.termination }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    @Test("A suspended server answers nobody, goes on when resumed, and can be stopped while suspended")
    func suspend() async throws {
        try await withServer { server in
            server.suspend()
            // The signal takes a moment to reach every thread of the server.
            try await eventually("silence") {
                (try? await RawClient.greeting(port: server.port, within: 200)) == nil
            }
            #expect(server.isRunning)
            server.resume()
            _ = try await RawClient.greeting(port: server.port)
            server.suspend()
            try await withDeadline(.seconds(4), "the end of a suspended server") { await server.stop() }
            #expect(!server.isRunning)
        }
    }

    @Test("Dropping the last reference ends the server and removes its store, even when the server has ended before")
    func dropped() async throws {
        for hasEnded in [false, true] {
            var server: LocalNATSServer? = try await LocalNATSServer.start(.init(executable: NATSServers.first.path))
            let pid = try #require(server?.pid)
            let store = try #require(server?.storeDirectory)
            if hasEnded {
                TestProcess.signal(pid, SIGKILL)
                _ = try await server?.termination
            }
            server = nil
            try await eventually("process \(pid) to end") { !TestProcess.exists(pid) }
            try await eventually("\(store) to go") { !TemporaryDirectory.exists(store) }
        }
    }
}
