import MeshEvents
import MeshLifecycle
import Testing

@Suite("Secrets are not published")
struct RedactionTests {
    @Test(
        "keys that name secrets",
        arguments: [
            "token", "TOKEN", "auth_token", "authToken", "hf-token", "password", "dbPassword", "DB_PASSWORD", "passwd",
            "secret", "client_secret", "api_key", "apiKey", "api-key", "APIKey", "apikey", "API_KEY", "Authorization",
            "cookie", "private_key", "privateKey", "credentials", "aws.secret.key", "ssh key", "oauth2_token",
            "password2",
        ]
    )
    func secret(_ key: String) { #expect(Redaction.namesSecret(key)) }

    @Test(
        "keys that do not",
        arguments: [
            "author", "authority", "tokenizer", "max_tokens", "tokens", "secretary", "cookiecutter", "key", "keyboard",
            "public_key", "primaryKey", "passwordless", "monkey", "", "model", "api", "url",
        ]
    )
    func open(_ key: String) { #expect(!Redaction.namesSecret(key)) }

    @Test("at any depth, whatever the value") func depth() {
        let data: EventData = [
            "author": "me", "list": [["token": "a"], ["b": 1]], "nested": ["deep": ["password": 1234, "user": "u"]],
            "secret": ["a": 1], "cookie": nil,
        ]
        let expected: EventData = [
            "author": "me", "list": [["token": "[redacted]"], ["b": 1]],
            "nested": ["deep": ["password": "[redacted]", "user": "u"]], "secret": "[redacted]", "cookie": nil,
        ]
        #expect(Redaction().redact(data) == expected)
        #expect(Redaction().redact(.null) == .null)
    }

    @Test("marked keys, by name and by path") func marked() {
        let data: EventData = ["a": 1, "b": ["a": 2, "c": 3], "c": 4]
        let expected: EventData = ["a": "[redacted]", "b": ["a": "[redacted]", "c": "[redacted]"], "c": 4]
        #expect(Redaction(marked: ["a", "b.c"]).redact(data) == expected)
    }

    @Test(
        "passwords in URLs",
        arguments: [
            ("nats://me:pw@host:4222", "nats://me:[redacted]@host:4222"),
            ("nats://t0ken@host", "nats://[redacted]@host"),
            ("https://me@host/a", "https://me@host/a"),
            ("postgres://u:p@ss@h/db?x=1, redis://:pw@h", "postgres://u:[redacted]@h/db?x=1, redis://:[redacted]@h"),
            ("a://b", "a://b"), ("://", "://"), ("me@example.org: hi", "me@example.org: hi"),
            ("http://host/path:a@b", "http://host/path:a@b"),
        ]
    )
    func urls(_ text: String, _ expected: String) {
        #expect(Redaction().redact(text) == expected)
        #expect(Redaction().redact(["v": .array([.string(text)])]) == ["v": .array([.string(expected)])])
    }
}
