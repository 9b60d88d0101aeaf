import Crypto
import MeshAlerts
import MeshEvents
import MeshEventsInterop

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A server that takes a POST with a CloudEvent.
///
/// The body is a CloudEvent 1.0 in structured mode (`application/cloudevents+json`):
///
/// | attribute | what |
/// | --- | --- |
/// | `id` | the notification's id, the same when it is sent again |
/// | `source` | `/mesh/alerts` |
/// | `type` | `mesh.alert.firing`, or `mesh.alert.resolved` when all of its alerts are over |
/// | `time` | when the newest of its alerts happened |
/// | `data` | the notification with all fields of its alerts |
///
/// `data` looks like this; `page` can be null:
///
/// ```json
/// {"id": "n-1", "status": "firing", "severity": "critical", "title": "tool-down: whisper on pi",
///  "body": "exit code 1\nsince 2026-11-24T09:04:34Z, event 17", "page": "https://mesh.example/", "test": false,
///  "omitted": 0,
///  "alerts": [{"id": "a-1", "rule": "tool-down", "group": {"tool": "whisper", "node": "pi"}, "status": "firing",
///              "severity": "critical", "since": "2026-11-24T09:04:34Z", "at": "2026-11-24T09:04:34Z", "count": 1,
///              "sequences": [17], "reason": "exit code 1", "repetition": 0}]}
/// ```
///
/// With a secret each request is signed as Standard Webhooks describes it. `webhook-id` is the notification's id,
/// `webhook-timestamp` the time of sending in seconds since 1970, and `webhook-signature` is `v1,` and the Base64 of the
/// HMAC-SHA256 over `id.timestamp.body`. The key is what follows `whsec_`, decoded from Base64; a secret without `whsec_` is
/// the key as it is. A receiver compares signatures in constant time, refuses a timestamp that is more than five minutes off,
/// and refuses an id that it has had in this time:
///
/// ```python
/// import base64, hashlib, hmac, time
///
/// def is_genuine(secret: str, headers, body: bytes) -> bool:
///     key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
///     timestamp = headers["webhook-timestamp"]
///     if abs(time.time() - int(timestamp)) > 300:
///         return False
///     signed = f"{headers['webhook-id']}.{timestamp}.".encode() + body
///     expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
///     return any(hmac.compare_digest(expected, one) for one in headers["webhook-signature"].split(" "))
/// ```
public struct WebhookConfiguration: Sendable, Hashable, CustomStringConvertible {
    let address: TargetAddress
    let secret: Secret?
    /// How long a whole exchange may take.
    public let timeout: Duration

    /// Creates a configuration.
    ///
    /// - Parameters:
    ///   - url: the address; it can have `user:password@`.
    ///   - secret: what signatures are made with: `whsec_` and 24 to 64 bytes in Base64, or any text that cannot be guessed.
    ///     `nil` for no signatures.
    ///   - timeout: how long a whole exchange may take, 100 ms to 10 minutes.
    /// - Throws: when the address, the secret or the time-out is none.
    public init(
        url: String,
        secret: String? = nil,
        timeout: Duration = .seconds(15)
    ) throws(NotifierConfigurationError) {
        address = try TargetAddress(url, "webhook", "https://example.org/hook")
        if let secret { _ = try Self.key(secret) }
        self.secret = secret.map { Secret($0) }
        self.timeout = try TargetTimeout.checked(timeout)
    }

    /// What signatures are made with; `nil` for none. It is not kept: a dump of it would show its bytes.
    var key: SymmetricKey? { secret.flatMap { try? Self.key($0.text) } }

    private static func key(_ secret: String) throws(NotifierConfigurationError) -> SymmetricKey {
        guard secret.hasPrefix("whsec_") else {
            guard !secret.isEmpty else { throw NotifierConfigurationError("the secret of webhook is empty") }
            return SymmetricKey(data: Array(secret.utf8))
        }
        guard let bytes = Data(base64Encoded: String(secret.dropFirst(6))), !bytes.isEmpty else {
            throw NotifierConfigurationError("what follows whsec_ in the secret of webhook is no Base64")
        }
        return SymmetricKey(data: bytes)
    }

    /// `webhook at example.org`.
    public var description: String { "webhook at \(address.authority)" }
}

/// Posts a CloudEvent.
struct WebhookNotifier: RequestingNotifier {
    let configuration: WebhookConfiguration
    let client: NotifierClient

    func request(for notification: AlertNotification, now: Timestamp) throws(NotificationFailure) -> TargetRequest {
        let body: [UInt8]
        do throws(MeshEventsError) {
            body = Array(try Self.event(notification).json().utf8)
        } catch {
            throw NotificationFailure(
                "the notification cannot be written as a CloudEvent: \(error.message)",
                isFinal: true
            )
        }
        var headers: [(name: String, value: String)] = []
        if let authorization = configuration.address.authorization { headers.append(("Authorization", authorization)) }
        if let key = configuration.key {
            // An id of other characters could end the header's line, or shift what is signed.
            let id = String(notification.id.unicodeScalars.filter(Self.isIdentifier).map(Character.init))
            let timestamp = String(now.nanosecondsSinceEpoch / 1_000_000_000)
            headers += [
                ("webhook-id", id), ("webhook-timestamp", timestamp),
                ("webhook-signature", Self.signature(key, id, timestamp, body)),
            ]
        }
        return TargetRequest(
            address: configuration.address,
            url: configuration.address.url,
            contentType: "application/cloudevents+json; charset=utf-8",
            headers: headers,
            body: body,
            timeout: configuration.timeout,
            secrets: [configuration.secret?.text].compactMap { $0 }
        )
    }

    private static func event(_ notification: AlertNotification) -> CloudEvent {
        CloudEvent(
            id: notification.id,
            source: "/mesh/alerts",
            type: "mesh.alert.\(AlertJSON.status(notification).rawValue)",
            time: notification.alerts.map(\.at).max(),
            data: EventData(AlertJSON.object(notification))
        )
    }

    private static func isIdentifier(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil || scalar == "-")
    }

    private static func signature(_ key: SymmetricKey, _ id: String, _ timestamp: String, _ body: [UInt8]) -> String {
        let signed = Array("\(id).\(timestamp).".utf8) + body
        return "v1," + Data(HMAC<SHA256>.authenticationCode(for: signed, using: key)).base64EncodedString()
    }
}
