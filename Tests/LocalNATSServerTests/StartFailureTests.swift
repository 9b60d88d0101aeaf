import LocalNATSServer
import TestSupport
import Testing

@Suite("A server that cannot start says what to do")
struct StartFailureTests {
    private func failure(_ configuration: LocalNATSServer.Configuration) async throws -> LocalNATSServerError {
        let error = await #expect(throws: LocalNATSServerError.self) {
            let server = try await LocalNATSServer.start(configuration)
            await server.stop()
        }
        return try #require(error)
    }

    @Test("No executable at the path named")
    func missing() async throws {
        let error = try await failure(.init(executable: "/nowhere/nats-server"))
        #expect(error.code == .executableNotFound)
        #expect(error.message.contains("/nowhere/nats-server"))
        #expect(error.message.contains("apt-get install nats-server"))
    }

    @Test("The port is taken", arguments: NATSServers.all)
    func portTaken(_ binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let error = try await failure(.init(executable: binary.path, port: server.port))
            #expect(error.code == .portTaken)
            #expect(error.message.contains("\(server.port)"))
            // Debian starts the server that it installs, on the port of a node's own.
            #expect(error.message.contains("systemctl disable --now nats-server"))
            #expect(server.isRunning)
        }
    }

    @Test("The store directory is a file, lies below one, or is on a file system that takes no files")
    func store() async throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("file", "text")
        for path in [file, file + "/below", "/proc/mesh-events-store", "/dev/null"] {
            let error = try await failure(.init(executable: NATSServers.first.path, storeDirectory: path))
            #expect(error.code == .storeNotWritable)
            #expect(error.message.contains(path))
        }
    }

    @Test("The log file cannot be written")
    func log() async throws {
        let error = try await failure(.init(executable: NATSServers.first.path, logFile: "/dev/null/log"))
        #expect(error.code == .filesNotWritable)
    }

    @Test("A configuration that the server refuses: its own words are in the message", arguments: NATSServers.all)
    func refused(_ binary: NATSServers.Binary) async throws {
        let error = try await failure(.init(executable: binary.path, extraConfiguration: "tls { cert_file: 7 }"))
        #expect(error.code == .exitedAtStart)
        #expect(error.message.contains("cert_file"), "\(error)")
        #expect(!error.serverOutput.isEmpty)
    }

    @Test("A program that exits with a message, at --version or later")
    func exits() async throws {
        let directory = try TemporaryDirectory()
        for guardClause in ["", #"[ "$1" = --version ] && { echo v2.10.1; exit; }; "#] {
            let fake = try directory.script("fake", guardClause + "echo licence expired >&2; exit 3")
            let error = try await failure(.init(executable: fake))
            #expect(error.code == .exitedAtStart)
            #expect(error.message.contains("code 3"))
            #expect(error.message.contains("licence expired"))
        }
    }

    @Test("A program that hangs is killed with its children, at --version or later")
    func hangs() async throws {
        let directory = try TemporaryDirectory()
        for guardClause in ["", #"[ "$1" = --version ] && { echo v2.10.1; exit; }; "#] {
            let groupFile = directory.path + "/group"
            let fake = try directory.script(
                "fake",
                guardClause + "ps -o pgid= -p $$ > '\(groupFile)'; echo hm; sleep 1000"
            )
            let error = try await failure(.init(executable: fake, startTimeout: .milliseconds(300)))
            #expect(error.code == .startTimeout)
            #expect(error.message.contains("hm"))
            let group = try #require(Int32(try directory.text(of: "group").filter(\.isNumber)))
            try await eventually("group \(group) to end") { !TestProcess.groupExists(group) }
        }
    }

    @Test("A cancelled start leaves nothing behind")
    func cancelled() async throws {
        let directory = try TemporaryDirectory()
        let groupFile = directory.path + "/group"
        let fake = try directory.script("fake", "ps -o pgid= -p $$ > '\(groupFile)'; sleep 1000")
        let start = Task { try await LocalNATSServer.start(.init(executable: fake)) }
        try await eventually("the program to run") { (try? directory.text(of: "group").isEmpty) == false }
        start.cancel()
        await #expect(throws: CancellationError.self) { try await start.value }
        let group = try #require(Int32(try directory.text(of: "group").filter(\.isNumber)))
        try await eventually("group \(group) to end") { !TestProcess.groupExists(group) }
    }
}
