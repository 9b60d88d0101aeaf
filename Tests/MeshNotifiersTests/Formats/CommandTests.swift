import MeshAlerts
import MeshEvents
import Testing

@testable import MeshNotifiers

struct CommandTests {
    private func arguments(_ arguments: [CommandTargetConfiguration.Argument], _ notification: AlertNotification) throws
        -> [String]
    {
        let configuration = try CommandTargetConfiguration(["program"] + arguments)
        return try CommandNotifier(configuration: configuration).arguments(notification)
    }

    @Test func fieldsAreFilledInOnce() throws {
        let notification = AlertNotification.sample(tool: "{body}", reason: "why {{x}")
        #expect(
            try arguments(
                ["-t", "{title}", "x={severity}/{status}", "{{title}", "{ body }", #"{"a":1}"#, "{id}{link}"],
                notification
            )
                == [
                    "-t", "tool-down: {body} on pi (3 times)", "x=critical/firing", "{title}", "{ body }", #"{"a":1}"#,
                    "n-1https://mesh.example/",
                ]
        )
        #expect(
            try arguments(["{rule}", "{group}", "{reason}"], notification) == ["tool-down", "{body} on pi", "why {{x}"]
        )
    }

    @Test func textOfAFieldIsNoOptionAndNoFileName() throws {
        for text in ["--option", "@/etc/passwd", "+x", "-"] {
            #expect(try arguments(["{reason}", "--x={reason}"], .sample(reason: text)) == [" \(text)", "--x=\(text)"])
        }
        #expect(try arguments(["{link}{reason}"], .sample(reason: "-r", page: nil)) == [" -r"])
    }

    @Test(arguments: AlertNotification.hostile)
    func argumentsAndVariablesHaveNoNULAndABound(notification: AlertNotification) throws {
        let configuration = try CommandTargetConfiguration(["p", "{title}", "{body}", "{reason}", "{rule}", "{group}"])
        let arguments = try CommandNotifier(configuration: configuration).arguments(notification)
        let variables = configuration.variables(notification, inherited: [:])
        for text in arguments + variables.values {
            #expect(!text.utf8.contains(0))
            #expect(text.utf8.count < 65_536)
            #expect(text.isHarmless)
        }
    }

    @Test func theEnvironmentHasTheFieldsAndNoSecretsOfOthers() throws {
        let configuration = try CommandTargetConfiguration(["p"], environment: ["MAIL_URL": "mailto://secret"])
        let variables = configuration.variables(
            .sample(isTest: true),
            inherited: [
                "PATH": "/bin", "LC_ALL": "C", "SLACK_WEBHOOK": "secret", "https_proxy": "http://p:1", "HOME": "/h",
            ]
        )
        #expect(
            variables == [
                "PATH": "/bin", "LC_ALL": "C", "HOME": "/h", "https_proxy": "http://p:1", "MAIL_URL": "mailto://secret",
                "MESH_ALERT_TITLE": "test: tool-down: whisper on pi (3 times)",
                "MESH_ALERT_BODY": "exit code 1\nsince 2026-11-24T09:04:34Z, events 15, 16, 17",
                "MESH_ALERT_SEVERITY": "critical", "MESH_ALERT_STATUS": "firing", "MESH_ALERT_RULE": "tool-down",
                "MESH_ALERT_GROUP": "whisper on pi", "MESH_ALERT_REASON": "exit code 1",
                "MESH_ALERT_LINK": "https://mesh.example/", "MESH_ALERT_ID": "n-1", "MESH_ALERT_TEST": "true",
            ]
        )
    }

    @Test func whatIsWrongIsSaidWhenItIsConfigured() {
        func error(_ body: () throws(NotifierConfigurationError) -> CommandTargetConfiguration) -> String {
            do throws(NotifierConfigurationError) {
                _ = try body()
                return ""
            } catch {
                return error.message
            }
        }
        #expect(error { () throws(NotifierConfigurationError) in try CommandTargetConfiguration([]) }.contains("empty"))
        #expect(
            error { () throws(NotifierConfigurationError) in try CommandTargetConfiguration(["p", "{tilte}"]) }
                .contains("no field {tilte}")
        )
        #expect(
            error { () throws(NotifierConfigurationError) in try CommandTargetConfiguration(["{rule}"]) }.contains(
                "cannot be a field"
            )
        )
        let confidential = error { () throws(NotifierConfigurationError) in
            try CommandTargetConfiguration(["p", .init("tk_secret", isConfidential: true)])
        }
        #expect(confidential.contains("argument 1") && !confidential.contains("tk_secret"))
        #expect(
            error { () throws(NotifierConfigurationError) in
                try CommandTargetConfiguration(["p"], environment: ["MESH_ALERT_X": ""])
            }
            .contains("no name")
        )
        #expect(
            error { () throws(NotifierConfigurationError) in try CommandTargetConfiguration(["p"], timeout: .zero) }
                .contains("time-out")
        )
    }

    @Test func aLoginInAnArgumentIsWorthAWarning() throws {
        let configuration = try CommandTargetConfiguration(["apprise", "mailto://me:secret@example.org"])
        #expect(configuration.warnings.count == 1)
        #expect(!configuration.warnings[0].contains("secret"))
        #expect(try CommandTargetConfiguration(["apprise", "mailto://example.org", "{title}"]).warnings.isEmpty)
    }
}
