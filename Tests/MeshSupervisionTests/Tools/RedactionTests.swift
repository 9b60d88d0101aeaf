import MeshEvents
import MeshSupervision
import Testing

@Suite("Secrets are not published")
struct RedactionTests {
    @Test(
        "keys that name secrets",
        arguments: [
            "token", "TOKEN", "auth_token", "authToken", "hf-token", "password", "dbPassword", "DB_PASSWORD", "passwd",
            "secret", "client_secret", "api_key", "apiKey", "api-key", "APIKey", "apikey", "API_KEY", "Authorization",
            "cookie", "private_key", "privateKey", "credentials", "aws.secret.key", "ssh key", "oauth2_token",
            "password2", "pass", "dbpassword", "tokens", "openai_key", "PassWord", "pAsSwOrD", "smtp_pass", "pin",
            "PIN",
            "otp", "cvv", "mytokenvalue", "encryptionkey", "sentry_dsn", "slack_webhook", "wifi.psk", "x-api-key",
        ]
    )
    func secret(_ key: String) { #expect(Redaction.namesSecret(key)) }

    @Test(
        "keys that do not",
        arguments: [
            "author", "authority", "tokenizer", "max_tokens", "tokens_per_second", "secretary", "cookiecutter", "key",
            "keyboard", "public_key", "primaryKey", "passwordless", "monkey", "", "model", "api", "url", "passes",
            "pinned",
            "compass", "spinner", "seed",
        ]
    )
    func open(_ key: String) { #expect(!Redaction.namesSecret(key)) }

    @Test("keys, kinds, numbers and booleans are published, at any depth") func kinds() {
        let data: EventData = [
            "author": "me", "list": [["token": "a"], ["b": 1], "x", 2, true, nil],
            "nested": ["deep": ["password": 1234, "user": "u"]], "secret": ["a": 1], "cookie": nil, "beam": 5,
            "rate": 0.25,
            "fast": false, "card": 4_111_111_111_111_111,
        ]
        let expected: EventData = [
            "author": "(string)", "list": [["token": "[redacted]"], ["b": 1], "(string)", 2, true, nil],
            "nested": ["deep": ["password": "[redacted]", "user": "(string)"]], "secret": "[redacted]", "cookie": nil,
            "beam": 5, "rate": 0.25, "fast": false, "card": "(number)",
        ]
        #expect(Redaction().redact(data) == expected)
        #expect(Redaction().redact(.null) == .null)
    }

    @Test("listed keys, by name and by path; secret ones win, and what is confidential") func listed() {
        let data: EventData = [
            "model": "base", "db": ["host": "h", "user": "u", "password": "p", "tokens": 4], "languages": ["de", "en"],
            "host": "other", "var": "from the environment", "part": "a from-var b",
        ]
        let redaction = Redaction(
            published: ["model", "db.host", "languages", "db.tokens", "var", "part", "user"],
            secrets: ["user"],
            confidential: ["from the environment", "from-var", "de"]
        )
        let expected: EventData = [
            "model": "base", "db": ["host": "h", "user": "[redacted]", "password": "[redacted]", "tokens": 4],
            "languages": ["[redacted]", "en"], "host": "(string)", "var": "[redacted]", "part": "a [redacted] b",
        ]
        #expect(redaction.redact(data) == expected)
        // An object that is published keeps its secrets.
        let whole = Redaction(published: ["db"]).redact(data)["db"]?.data
        #expect(whole == ["host": "h", "user": "u", "password": "[redacted]", "tokens": "[redacted]"])
    }

    @Test(
        "what stays as it is",
        arguments: [
            "exited with code 3", "killed by signal 9 (SIGKILL)",
            "command not found: there is no /opt/tools/whisper.py",
            "me@example.org: hi", "https://example.org/a/b?page=2#top", "a://b", "://", "", "@",
            "mistralai/Mixtral-8x7B-Instruct",
            "/usr/lib/python3.11/site-packages/torch/nn/modules/linear.py", "MeshLifecycleToolSupervisorTests",
            "user: me",
            "2026-11-24T09:04:34.01671002Z", "192.168.0.1:4222", "max_tokens=512", "Grüße, 日本",
        ]
    ) func plain(_ text: String) { #expect(Redaction().redact(text) == text) }

    @Test(
        "logins in URLs",
        arguments: [
            ("nats://me:pw@host:4222", "nats://[redacted]@host:4222"), ("nats://t0ken@host", "nats://[redacted]@host"),
            ("postgres://u:p@ss@h/db?x=1, redis://:pw@h", "postgres://[redacted]@h/db?x=1, redis://[redacted]@h"),
            ("nats://a:b@h1,nats://c:d@h2", "nats://[redacted]@h1,nats://[redacted]@h2"),
            ("at me:hunter2@host", "at me:[redacted]@host"),
        ]
    ) func urls(_ text: String, _ expected: String) { #expect(Redaction().redact(text) == expected) }

    @Test(
        "text without end costs time as it is long",
        arguments: [
            "a://", "://@", "-----BEGIN", "password=", "Bearer ", "a:@", "eyJ-", "\"token\":\"", "é", "a-", "x@",
        ]
    ) func long(_ part: String) {
        let short = ContinuousClock().measure { _ = Redaction().redact(String(repeating: part, count: 200)) }
        let long = ContinuousClock().measure { _ = Redaction().redact(String(repeating: part, count: 4_000)) }
        // Twenty times as much, not four hundred times.
        #expect(long < short * 100 + .milliseconds(500), "\(part): \(short), \(long)")
    }
}
