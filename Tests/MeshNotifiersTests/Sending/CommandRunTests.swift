import MeshAlerts
import MeshEvents
import TestSupport
import Testing

@testable import MeshNotifiers

struct CommandRunTests {
    private func run(
        _ command: [CommandTargetConfiguration.Argument],
        environment: [String: String] = [:],
        timeout: Duration = .seconds(20),
        _ notification: AlertNotification = .sample()
    ) async throws -> Result<String, NotificationFailure> {
        let configuration = try CommandTargetConfiguration(command, environment: environment, timeout: timeout)
        do throws(NotificationFailure) {
            return .success(try await CommandNotifier(configuration: configuration).notify(notification))
        } catch {
            return .failure(error)
        }
    }

    private func message(_ result: Result<String, NotificationFailure>) -> String {
        switch result {
        case .success(let answer): "success: \(answer)"
        case .failure(let failure): failure.isFinal ? "final: \(failure.message)" : failure.message
        }
    }

    @Test func theCommandGetsArgumentsVariablesAndJSON() async throws {
        let directory = try TemporaryDirectory()
        let script = try directory.script(
            "tell",
            #"printf '%s|' "$@" "$MESH_ALERT_TITLE" "$MESH_ALERT_SEVERITY" "$KEY" >'\#(directory.path)/out'; cat >'\#(directory.path)/in'"#
        )
        let reason = "$(reboot) ; `reboot` \"'"
        let answer = try await run(
            ["sh", .init(script), "-b", "{reason}"],
            environment: ["KEY": "secret"],
            .sample(reason: reason)
        )
        #expect(message(answer) == "success: exit code 0")
        #expect(
            try directory.text(of: "out") == "-b|\(reason)|tool-down: whisper on pi (3 times)|critical|secret|"
        )
        let json = try EventData(json: directory.text(of: "in"))
        #expect(json["alerts"]?.value[0]?["reason"]?.string == reason)
    }

    @Test(arguments: AlertNotification.hostile)
    func whatAStrangerWroteArrivesAsText(notification: AlertNotification) async throws {
        let directory = try TemporaryDirectory()
        let script = try directory.script(
            "tell",
            #"printf '%s\0' "$@" >'\#(directory.path)/out'; cat >'\#(directory.path)/in'"#
        )
        let command: [CommandTargetConfiguration.Argument] = ["sh", .init(script), "{title}", "{body}", "{reason}"]
        #expect(message(try await run(command, notification)) == "success: exit code 0")
        let expected = try CommandNotifier(configuration: CommandTargetConfiguration(command)).arguments(notification)
            .dropFirst()
        let got = try directory.text(of: "out").split(separator: "\0", omittingEmptySubsequences: false).dropLast()
        #expect(got.map(String.init) == Array(expected))
        #expect(try EventData(json: directory.text(of: "in"))["id"]?.value == "n-1")
    }

    @Test func aFailureSaysTheExitCodeAndNoSecret() async throws {
        let failed = try await run(["sh", "-c", "echo secret >&2; exit 3"], environment: ["KEY": "secret"])
        #expect(message(failed) == "command sh ended with exit code 3")
        #expect(message(try await run(["no-such-program-here"])) == "command no-such-program-here does not exist")
        // It need not read its input.
        #expect(message(try await run(["true"])) == "success: exit code 0")
    }

    @Test func atTheTimeOutItEndsWithItsDescendants() async throws {
        let directory = try TemporaryDirectory()
        let script = try directory.script(
            "hang",
            #"trap '' TERM; sh -c 'trap "" TERM; echo $$ >"\#(directory.path)/pid"; sleep 600' & sleep 600"#
        )
        let outcome = try await run(["sh", .init(script)], timeout: .seconds(1))
        #expect(message(outcome) == "command sh did not end within 1.0 seconds")
        let pid = try #require(Int32(try directory.text(of: "pid").split(separator: "\n").first.map(String.init) ?? ""))
        try await eventually("the descendant's end") { !TestProcess.exists(pid) }
    }

    @Test func whatIsTooLongForTheSystemIsFinal() async throws {
        let long = CommandTargetConfiguration.Argument(String(repeating: "{body}", count: 5_000))
        #expect(message(try await run(["true", long])).hasPrefix("final: command true: argument 1 has more than"))
        let many = Array(
            repeating: CommandTargetConfiguration.Argument(String(repeating: "x", count: 60_000)),
            count: 20
        )
        #expect(message(try await run(["true"] + many)).hasPrefix("final: command true: its arguments and variables"))
    }
}
