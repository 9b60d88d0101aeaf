import MeshAlerts
import Testing

@testable import MeshNotifiers

struct ConfigurationTests {
    private static func all() throws -> [NotifierConfiguration] {
        [
            .ntfy(try NtfyConfiguration(url: "https://user:secret1@ntfy.example/secret2", token: "secret3")),
            .slack(try SlackConfiguration(url: "https://hooks.example:8443/services/secret4?x=secret5")),
            .discord(try DiscordConfiguration(url: "https://discord.example/api/webhooks/secret6")),
            .webhook(try WebhookConfiguration(url: "https://u:secret7@example.org/secret8", secret: "secret9")),
            .alertmanager(try AlertmanagerConfiguration(url: "http://u:secret1@127.0.0.1:9093", token: "secret2")),
            .command(try CommandTargetConfiguration(["/usr/bin/apprise", "secret3"], environment: ["A": "secret4"])),
        ]
    }

    @Test func aDescriptionNamesKindAndHost() throws {
        #expect(
            try Self.all().map(\.description) == [
                "ntfy at ntfy.example", "slack at hooks.example:8443", "discord at discord.example",
                "webhook at example.org", "alertmanager at 127.0.0.1:9093", "command apprise",
            ]
        )
        #expect(
            try Self.all().map(\.kind) == ["ntfy", "slack", "discord", "webhook", "alertmanager", "command"]
        )
    }

    @Test func noSecretIsInAnyDescriptionOrDump() throws {
        let client = NotifierClient()
        for configuration in try Self.all() {
            var dumped = "\(configuration) \(String(reflecting: configuration)) "
            dump(configuration, to: &dumped)
            dump(configuration.makeNotifier(client: client), to: &dumped)
            dump(NotifierClient.Configuration(environment: ["A": "secret1"]), to: &dumped)
            for number in 1...9 { #expect(!dumped.contains("secret\(number)"), "\(dumped)") }
        }
    }

    @Test(arguments: [
        "", "ntfy.example/lab", "ftp://x/lab", "https://", "https:///lab", "https://x y/lab", "https://x/lab#secret",
        "https://x:99999/lab", "https://x\r\nHost: y/lab", "https://é.example/lab", "https://x", "https://x/",
        "https://x/a%20b",
        "https://x/lab?secret", "https://a:b:c@x/lab", "https://[::1/lab",
        "https://x/\(String(repeating: "s", count: 65))",
    ])
    func whatIsNoAddressIsRefusedWithoutShowingIt(text: String) throws {
        do throws(NotifierConfigurationError) {
            _ = try NtfyConfiguration(url: text)
            if text != "https://a:b:c@x/lab" { Issue.record("\(text) was accepted") }
        } catch {
            #expect(error.message.contains("https://ntfy.example/topic"))
            #expect(!error.message.contains("secret"))
        }
    }

    @Test func addressesAreTakenApart() throws {
        let address = try TargetAddress("HTTPS://U:p%3Aw@[2001:DB8::1]:8443/a/b/?q=1&r", "x", "y")
        #expect(address.authority == "[2001:db8::1]:8443")
        #expect(address.url == "https://[2001:db8::1]:8443/a/b?q=1&r")
        #expect(address.authorization == "Basic VTpwOnc=")
        #expect(try TargetAddress("http://x:80", "x", "y").url == "http://x/")
    }

    @Test func tokensAndTimeOutsAreChecked() {
        for token in ["", "a b", "a\r\nX: 1", "é"] {
            #expect(throws: NotifierConfigurationError.self) {
                try NtfyConfiguration(url: "https://x/lab", token: token)
            }
        }
        for timeout in [Duration.zero, .seconds(-1), .seconds(601)] {
            #expect(throws: NotifierConfigurationError.self) {
                try SlackConfiguration(url: "https://x/y", timeout: timeout)
            }
        }
        #expect(throws: NotifierConfigurationError.self) {
            try WebhookConfiguration(url: "https://x", secret: "whsec_!!")
        }
        #expect(throws: NotifierConfigurationError.self) { try WebhookConfiguration(url: "https://x", secret: "") }
        #expect(throws: NotifierConfigurationError.self) {
            try AlertmanagerConfiguration(url: "http://x", expiry: .seconds(59))
        }
    }

    @Test func aSecretInClearIsWorthAWarning() throws {
        func warnings(_ url: String) throws -> [String] {
            NotifierConfiguration.slack(try SlackConfiguration(url: url)).warnings
        }
        #expect(try warnings("http://chat.example/hooks/secret").count == 1)
        #expect(try warnings("https://chat.example/hooks/secret").isEmpty)
        #expect(try warnings("http://127.0.0.1:80/hooks/secret").isEmpty)
        #expect(NotifierConfiguration.webhook(try WebhookConfiguration(url: "http://x/hook")).warnings.isEmpty)
    }
}
