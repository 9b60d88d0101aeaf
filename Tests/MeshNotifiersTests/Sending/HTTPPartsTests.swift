import MeshAlerts
import MeshEvents
import Testing

@testable import MeshNotifiers

struct HTTPPartsTests {
    @Test(arguments: [
        ("120", Duration.seconds(120)), (" 0 ", .zero), ("99999999999999999999", .seconds(86_400)),
        ("1000000", .seconds(86_400)),
        ("Tue, 24 Nov 2026 09:05:34 GMT", .seconds(60)), ("Tuesday, 24-Nov-26 09:05:34 GMT", .seconds(60)),
        ("Tue Nov 24 09:05:34 2026", .seconds(60)), ("Sun Nov  6 08:49:37 1994", .zero),
        ("Sun, 06 Nov 1994 08:49:37 GMT", .zero),
        ("Fri, 31 Dec 9999 23:59:59 GMT", nil), ("Tue, 31 Feb 2026 09:05:34 GMT", nil), ("soon", nil), ("-1", nil),
        ("", nil),
        ("1.5", nil),
    ])
    func retryAfterIsASecondsOrADate(value: String, expected: Duration?) {
        #expect(RetryAfter.duration(value, now: .sample(0)) == expected)
    }

    @Test func secretsAreFoundInEveryNotation() {
        let redaction = Redaction(["/services/T0/B0/x%2Fyz+1", "p@ss\"word", "abc"])
        #expect(redaction.redact("no /services/T0/B0/x%2Fyz+1!") == "no [redacted]!")
        #expect(redaction.redact(#"no \/services\/T0\/B0\/x%2Fyz+1"#) == "no [redacted]")
        #expect(redaction.redact("no /services/T0/B0/x/yz+1") == "no [redacted]")
        #expect(redaction.redact(#"{"e":"p@ss\"word"}"#) == #"{"e":"[redacted]"}"#)
        // The end of a text that was cut within a secret.
        #expect(redaction.redact("no /services/T0/B") == "no [redacted]")
        // Short words are in many texts.
        #expect(redaction.redact("abc") == "abc")
    }

    @Test func anAnswerSaysWhatToDoAndShowsNoSecret() throws {
        let address = try TargetAddress("https://u:pa55word@hooks.example/services/T0/secret", "slack", "")
        let request = TargetRequest(
            address: address,
            url: address.url,
            contentType: "",
            body: [],
            timeout: .seconds(1),
            secrets: ["tk_token"]
        )
        let redaction = Redaction(request.secrets + address.secrets)
        func failure(_ status: Int, _ body: String = "", retryAfter: String? = nil) -> NotificationFailure {
            let answer = HTTPAnswer(status: status, phrase: "Phrase", retryAfter: retryAfter, body: Array(body.utf8))
            return NotifierClient.failure(answer, request, redaction, now: .sample(0))
        }
        let echo =
            "POST /services/T0/secret HTTP/1.1\r\nAuthorization: \(address.authorization ?? "")\r\n tk_token \u{1B}[31m"
        let text = failure(400, echo).message
        #expect(
            text.hasPrefix(
                "hooks.example answered 400 Phrase: POST [redacted] HTTP/1.1 Authorization: Basic [redacted]"
            )
        )
        for secret in ["secret", "tk_token", "pa55word", "T0", "\u{1B}"] { #expect(!text.contains(secret), "\(text)") }
        #expect(failure(400, String(repeating: "x", count: 9_000)).message.count < 300)
        #expect(failure(302, "Moved to /services").message.hasSuffix("configure the address that it leads to"))
        for status in [301, 302, 307, 401, 403, 404, 408, 410, 425, 429, 500, 502, 503, 504] {
            #expect(!failure(status).isFinal)
        }
        for status in [400, 413, 422] { #expect(failure(status).isFinal) }
        #expect(failure(429, retryAfter: "7").retryAfter == .seconds(7))
        #expect(failure(503, retryAfter: "Tue, 24 Nov 2026 09:05:34 GMT").retryAfter == .seconds(60))
        #expect(failure(400, retryAfter: "7").retryAfter == nil)
    }

    @Test func proxiesFollowTheEnvironment() throws {
        func proxy(_ url: String, _ environment: [String: String]) throws -> String? {
            try ProxySettings(environment: environment).proxy(for: TargetAddress(url, "x", "y"))?.authority
        }
        let both = ["HTTP_PROXY": "http://plain:3128", "https_proxy": "me:pw@secure:8080/"]
        #expect(try proxy("http://a.example", both) == "plain:3128")
        #expect(try proxy("https://a.example", both) == "secure:8080")
        #expect(try proxy("http://127.0.0.1:9093", both) == nil)
        #expect(try proxy("http://localhost:1", both) == nil)
        #expect(try proxy("http://[::1]:1", both) == nil)
        #expect(try proxy("http://127.0.0.1.example", both) == "plain:3128")
        // Small letters count first, an empty value too; a header of a CGI program does not count.
        #expect(try proxy("http://a.example", ["http_proxy": "", "HTTP_PROXY": "http://plain:3128"]) == nil)
        #expect(try proxy("http://a.example", ["HTTP_PROXY": "http://plain:3128", "REQUEST_METHOD": "GET"]) == nil)
        for (exceptions, expected) in [
            ("a.example", nil), (".example", nil), ("*.example", nil), ("EXAMPLE.", nil), ("*", nil),
            ("x, a.example:80", nil),
            ("a.example:81", "plain:3128"), ("ample", "plain:3128"), ("b.example,,", "plain:3128"),
        ] as [(String, String?)] {
            let environment = ["http_proxy": "plain:3128", "NO_PROXY": exceptions]
            #expect(try proxy("http://a.example", environment) == expected, "\(exceptions)")
        }
        #expect(try proxy("http://[2001:db8::1]:80", ["http_proxy": "p:1", "no_proxy": "2001:db8::1"]) == nil)
        #expect(try proxy("http://[2001:db8::1]:80", ["http_proxy": "p:1", "no_proxy": "[2001:db8::1]:80"]) == nil)
        for wrong in ["socks5://p:1", "https://p:1", "http://", "http://p:0"] {
            #expect(throws: NotifierConfigurationError.self) { try proxy("http://a.example", ["http_proxy": wrong]) }
        }
        let login = try ProxySettings(environment: both).proxy(for: TargetAddress("https://a.example", "x", "y"))?.login
        #expect(login?.text == "bWU6cHc=")
    }

    @Test func onlyAPageThatIsALinkIsOne() {
        func link(_ page: String?) -> String? { AlertNotification.sample(page: page).link }
        #expect(link("https://mesh.example:8443/_a/?b=c&d#e") == "https://mesh.example:8443/_a/?b=c&d#e")
        for page in [
            "", "javascript:alert(1)", "https://", "https://a/|x", "https://a/>", "https://u:p@a/", "https://a/\n", nil,
        ] {
            #expect(link(page) == nil)
        }
    }

    @Test func aTextIsCutWithRoomForTheEllipsis() {
        #expect("abcdef".cut(toUTF16: 6) == "abcdef")
        #expect("abcdefg".cut(toUTF16: 6) == "abc…")
        #expect("😀😀😀😀".cut(toUTF16: 7) == "😀😀…")
        #expect(String(repeating: "é", count: 100).cut(to: 50) { UTF8.width($0) }.utf8.count <= 50)
    }
}
