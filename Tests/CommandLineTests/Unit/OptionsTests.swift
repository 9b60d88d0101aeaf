import ArgumentParser
import Foundation
import MeshEvents
import MeshSupervision
import NATSClient
import TestSupport
import Testing

@testable import mesh_events

@Suite struct OptionsTests {
    private func configuration(
        _ arguments: [String],
        _ environment: [String: String] = [:]
    ) throws -> NATSConnection.Configuration {
        try ConnectionOptions.parse(arguments).configuration(servers: nil, environment, name: "test")
    }

    @Test func theFlagComesBeforeTheEnvironmentBeforeTheDefault() throws {
        let environment = ["JB_NATS_URL": "nats://b:1"]
        #expect(try configuration(["--nats", "nats://a:1,nats://c:2"], environment).servers.map(\.port) == [1, 2])
        #expect(try configuration([], environment).servers.map(\.host) == ["b"])
        #expect(try configuration([], ["JB_NATS_URL": ""]).servers.map(\.description) == ["nats://127.0.0.1:4222"])
        #expect(try configuration([]).servers.map(\.description) == ["nats://127.0.0.1:4222"])
    }

    @Test func everyWayToLogInIsKnownAsOne() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("secret", "", mode: 0o600)
        let fields = try directory.file("fields", "Authorization: Bearer x\n", mode: 0o600)
        func logsIn(_ arguments: [String], _ environment: [String: String] = [:]) throws -> Bool {
            try ConnectionOptions.parse(arguments).logsIn(environment)
        }
        #expect(try !logsIn([]) && !logsIn(["--nats", "nats://a:1"], ["MESH_EVENTS_TOKEN": ""]))
        let options = [
            ["--creds", file], ["--nkey", file], ["--token", "t"], ["--user", "u", "--password", "p"],
            ["--nats", "nats://u:p@a:1"], ["--nats", "nats://a:1,nats://t@b:2"],
            ["--tls-cert", file, "--tls-key", file], ["--ws-headers", fields],
        ]
        for arguments in options {
            #expect(try logsIn(arguments), "\(arguments)")
        }
        let variables = [
            ("JB_NATS_CREDS", file), ("MESH_EVENTS_NKEY", file), ("MESH_EVENTS_TOKEN", "t"),
            ("JB_NATS_URL", "nats://u:p@a:1"),
        ]
        for (name, value) in variables {
            #expect(try logsIn([], [name: value]), "\(name)")
        }
    }

    @Test func passwordsAndTokensCanComeFromTheEnvironment() throws {
        let environment = ["MESH_EVENTS_PASSWORD": "p", "MESH_EVENTS_TOKEN": "t"]
        guard case .userPassword("u", "p") = try configuration(["--user", "u"], environment).authentication else {
            Issue.record("not the environment's password")
            return
        }
        guard
            case .userPassword("u", "q") = try configuration(["--user", "u", "--password", "q"], environment)
                .authentication
        else {
            Issue.record("the flag does not win")
            return
        }
        guard case .token("t") = try configuration([], environment).authentication else {
            Issue.record("not the environment's token")
            return
        }
        guard case .none = try configuration([]).authentication else {
            Issue.record("a login out of nothing")
            return
        }
    }

    @Test func toolsGetThePasswordOrTokenThatTheNodeLogsInWith() throws {
        func given(_ arguments: [String], _ environment: [String: String] = [:]) throws -> [String]? {
            try ConnectionOptions.parse(arguments).passwordOrToken(environment)
        }
        let directory = try TemporaryDirectory()
        let file = try directory.file("secret", "", mode: 0o600)
        let environment = ["MESH_EVENTS_PASSWORD": "p", "MESH_EVENTS_TOKEN": "t"]
        #expect(try given([]) == nil)
        #expect(try given([], environment) == ["t"])
        #expect(try given(["--token", "o"], environment) == ["o"])
        #expect(try given(["--user", "u"], environment) == ["u", "p"])
        #expect(try given(["--user", "u", "--password", "q"], environment) == ["u", "q"])
        #expect(try given(["--creds", file], environment) == nil && given(["--nkey", file], environment) == nil)
        for name in ["JB_NATS_CREDS", "MESH_EVENTS_NKEY"] {
            #expect(try given([], environment.merging([name: file]) { $1 }) == nil, "\(name)")
        }
    }

    @Test func whereTheStreamIsCanComeFromTheEnvironment() throws {
        let environment = ["MESH_EVENTS_JS_DOMAIN": "hub", "MESH_EVENTS_INBOX_PREFIX": "_mine."]
        let named = try configuration([], environment)
        #expect(named.jetStreamPrefix == "$JS.hub.API" && named.inboxPrefix == "_mine")
        #expect(try configuration(["--js-prefix", "x.API."], environment).jetStreamPrefix == "x.API")
        #expect(try configuration(["--js-domain", "d"], environment).jetStreamPrefix == "$JS.d.API")
        let none = try configuration([], environment.mapValues { _ in "" })
        #expect(none.jetStreamPrefix == nil && none.inboxPrefix == nil)
    }

    @Test func aContextIsTakenFieldByField() throws {
        let home = try ContextHome()
        try home.save(
            "it",
            #"{"url":"nats://c:1","token":"c","jetstream_domain":"c","inbox_prefix":"_c","ca":"~/ca.pem"}"#
        )
        let authority = try home.directory.file("ca.pem", "")
        let other = try home.directory.file("other.pem", "")
        func settings(_ arguments: [String], _ more: [String: String]) throws -> NATSConnection.Configuration {
            try configuration(arguments, home.environment.merging(more) { $1 })
        }
        func token(_ settings: NATSConnection.Configuration) -> String? {
            if case .token(let token) = settings.authentication { token } else { nil }
        }
        let named = try settings([], ["NATS_CONTEXT": "it"])
        #expect(named.servers.map(\.host) == ["c"] && token(named) == "c" && named.jetStreamPrefix == "$JS.c.API")
        #expect(named.inboxPrefix == "_c" && named.tls?.certificateAuthorityFile == authority)
        let variables = [
            "NATS_CONTEXT": "it", "JB_NATS_URL": "nats://v:1", "MESH_EVENTS_TOKEN": "v",
            "MESH_EVENTS_JS_PREFIX": "v.API",
            "MESH_EVENTS_INBOX_PREFIX": "_v", "MESH_EVENTS_TLS_CA": other,
        ]
        let byVariables = try settings([], variables)
        #expect(byVariables.servers.map(\.host) == ["v"] && token(byVariables) == "v")
        #expect(byVariables.jetStreamPrefix == "v.API" && byVariables.inboxPrefix == "_v")
        #expect(byVariables.tls?.certificateAuthorityFile == other)
        let byOption = try settings(["--context", "it"], variables)
        #expect(byOption.servers.map(\.host) == ["c"] && token(byOption) == "c")
        #expect(byOption.jetStreamPrefix == "$JS.c.API" && byOption.inboxPrefix == "_c")
        #expect(byOption.tls?.certificateAuthorityFile == authority)
        let options = [
            "--context", "it", "--nats", "nats://o:1", "--token", "o", "--js-domain", "o", "--inbox-prefix", "_o",
        ]
        let byOptions = try settings(options + ["--tls-ca", other], variables)
        #expect(byOptions.servers.map(\.host) == ["o"] && token(byOptions) == "o")
        #expect(byOptions.jetStreamPrefix == "$JS.o.API" && byOptions.inboxPrefix == "_o")
        #expect(byOptions.tls?.certificateAuthorityFile == other)
        // A login in an address that was named is nearer than the context's.
        guard case .none = try settings(["--context", "it", "--nats", "nats://u:p@o"], [:]).authentication else {
            Issue.record("the context's login")
            return
        }
    }

    @Test func theOrderOfServersAndThoseThatAreAnnounced() throws {
        let standard = try configuration([])
        #expect(standard.randomizesServers && !standard.ignoresAnnouncedServers)
        let given = try configuration(["--no-randomize", "--ignore-announced-servers"])
        #expect(!given.randomizesServers && given.ignoresAnnouncedServers)
    }

    @Test func secretsMayBeginWithAHyphen() throws {
        guard case .userPassword("-u", "-x") = try configuration(["--user", "-u", "--password", "-x"]).authentication
        else {
            Issue.record("not that password")
            return
        }
        guard case .token("--t") = try configuration(["--token", "--t"]).authentication else {
            Issue.record("not that token")
            return
        }
    }

    @Test func filesCanComeFromTheEnvironmentAndOptionsWin() throws {
        let directory = try TemporaryDirectory()
        func file(_ name: String) throws -> String { try directory.file(name, "", mode: 0o600) }
        let environment = [
            "MESH_EVENTS_NKEY": try file("a.nk"), "MESH_EVENTS_TLS_CA": try file("ca.pem"),
            "MESH_EVENTS_TLS_CERT": try file("c.pem"), "MESH_EVENTS_TLS_KEY": try file("c.key"),
        ]
        let named = try configuration([], environment)
        guard case .nkeyFile(directory.path + "/a.nk") = named.authentication else {
            Issue.record("not the environment's key")
            return
        }
        #expect(named.tls?.certificateAuthorityFile == directory.path + "/ca.pem")
        #expect(named.tls?.certificateFile == directory.path + "/c.pem")
        #expect(named.tls?.privateKeyFile == directory.path + "/c.key")
        let given = try configuration(["--nkey", file("b.nk"), "--tls-ca", file("cb.pem")], environment)
        guard case .nkeyFile(directory.path + "/b.nk") = given.authentication else {
            Issue.record("the flag does not win")
            return
        }
        #expect(given.tls?.certificateAuthorityFile == directory.path + "/cb.pem")
        #expect(given.tls?.certificateFile == directory.path + "/c.pem")
        #expect(try configuration([], environment.mapValues { _ in "" }).tls == nil)
        for (name, path) in environment where name != "MESH_EVENTS_TLS_CA" && name != "MESH_EVENTS_TLS_CERT" {
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
            let failure = #expect(throws: CommandFailure.self) { try configuration([], environment) }
            #expect(failure?.code == .usage && failure?.message.contains("chmod 600 \(path)") == true)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        }
        for name in environment.keys {
            let failure = #expect(throws: CommandFailure.self) { try configuration([], [name: "/no/such"]) }
            #expect(failure?.code == .usage && failure?.message.contains(name) == true)
        }
    }

    @Test(arguments: [
        ["--user", "u"], ["--password", "p"], ["--token", "t", "--user", "u"], ["--creds", "/no/such/file"],
        ["--nkey", "/no/such/file"], ["--tls-ca", "/no/such/file"], ["--nats", "http://x"], ["--nats", ""],
        ["--stream", "a.b"], ["--stream", ""], ["--js-domain", "a b"], ["--js-prefix", "a.*"], ["--js-prefix", ".a"],
        ["--inbox-prefix", "a.>"], ["--js-domain", "a", "--js-prefix", "b"],
        ["--nats", "nats://a:99999"], ["--tls-cert", "/dev/null"], ["--tls-key", "/dev/null"],
    ])
    func contradictionsAreUsageErrors(arguments: [String]) {
        let failure = #expect(throws: CommandFailure.self) { try configuration(arguments) }
        #expect(failure?.code == .usage)
    }

    @Test func theNodeIsTheFlagElseTheEnvironmentElseTheHost() throws {
        let environment = ["JB_NODE_NAME": "e"]
        #expect(try NodeOptions.parse(["--node", "f"]).name(environment) == "f")
        #expect(try NodeOptions.parse([]).name(environment) == "e")
        #expect(try NodeOptions.parse([]).name(["JB_NODE_NAME": ""]) == NodeCapabilities.host)
        #expect(!NodeCapabilities.host.isEmpty)
        #expect(throws: CommandFailure.self) { try NodeOptions.parse(["--node", ""]).name(environment) }
    }

    @Test(arguments: [
        ([:], true), (["NO_COLOR": "1"], false), (["NO_COLOR": ""], true), (["TERM": "dumb"], false),
    ])
    func coloursRespectTheEnvironment(environment: [String: String], allowed: Bool) {
        #expect(Terminal.allowsColor(environment) == allowed)
    }

    @Test func everyPortHasAStoreOfItsOwn() {
        #expect(StoreDirectory.standard(port: 4222, ["HOME": "/h"]) == "/h/.local/share/mesh-events/4222")
        #expect(StoreDirectory.standard(port: 1, ["HOME": "/h", "XDG_DATA_HOME": "/d"]) == "/d/mesh-events/1")
        #expect(
            StoreDirectory.standard(port: 1, ["HOME": "/h", "XDG_DATA_HOME": "relative"])
                == "/h/.local/share/mesh-events/1"
        )
    }

    @Test(arguments: [
        (MeshEventsError.Code.invalidEventType, CommandFailure.Code.usage), (.invalidPattern, .usage),
        (.invalidData, .badData), (.payloadTooLarge, .badData), (.connectionFailed, .unavailable),
        (.authenticationFailed, .unavailable), (.persistenceUnavailable, .unavailable), (.timeout, .unavailable),
        (.streamNotFound, .unavailable), (.storageFull, .unavailable), (.permissionDenied, .unavailable),
        (.streamReplaced, .streamReplaced),
    ])
    func everyErrorHasItsExitCode(code: MeshEventsError.Code, expected: CommandFailure.Code) {
        #expect(CommandFailure(describing: MeshEventsError(code, "x")).code == expected)
    }
}

@Suite struct StopRequestTests {
    @Test func theFirstReasonCounts() async {
        let stop = StopRequest()
        stop.stop(.timeUp)
        stop.stop(.outputClosed)
        guard case .timeUp = await stop.wait() else {
            Issue.record("another reason")
            return
        }
    }

    @Test func aRaceEndsWithWhatCameFirst() async throws {
        let stop = StopRequest()
        #expect(try await stop.race { 7 } == 7)
        let waiting = Task { try await stop.race { try await Task.sleep(for: .seconds(60)) } }
        stop.stop(.signal)
        let result: Void? = try await waiting.value
        #expect(result == nil)
    }

    @Test func whatTheBodyThrowsIsThrown() async {
        await #expect(throws: CommandFailure.self) {
            _ = try await StopRequest().race { throw CommandFailure(.badData, "x") }
        }
    }

    @Test func aTimeLimitRequestsTheStop() async {
        let stop = StopRequest()
        let reason = await stop.withTimeLimit(.milliseconds(1)) { await stop.wait() }
        guard case .timeUp = reason else {
            Issue.record("another reason")
            return
        }
    }

    @Test func aTimeLimitThatIsNotReachedRequestsNothing() async {
        let stop = StopRequest()
        #expect(await stop.withTimeLimit(.seconds(60)) { 7 } == 7)
        #expect(await stop.withTimeLimit(nil) { 8 } == 8)
        #expect(stop.reason == nil)
    }

    @Test func waitingEndsWhenItsTaskIsCancelled() async {
        let stop = StopRequest()
        let waiting = Task { await stop.wait() }
        waiting.cancel()
        #expect(await waiting.value == nil)
    }
}

@Suite struct ProgressLineTests {
    @Test func countsAndRates() {
        #expect(ProgressLine.text(stored: 1, elapsed: .zero) == "1 event stored")
        #expect(ProgressLine.text(stored: 3_000, elapsed: .seconds(2)) == "3000 events stored, 1500 a second")
    }
}
