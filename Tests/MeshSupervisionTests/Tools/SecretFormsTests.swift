import Foundation
import MeshEvents
import ProcessGuard
import Testing

@testable import MeshSupervision

/// Secrets that are known by value, in the notations in which programs write them.
@Suite struct SecretFormsTests {
    static let secret = "oak/\"elm\"+ash\\ yew=5ü"

    private func redacted(_ text: String, _ secrets: String...) -> String {
        Redaction(confidential: Set(secrets)).redact(text)
    }

    @Test(arguments: [
        SecretFormsTests.secret, "oak%2F%22elm%22%2Bash%5C%20yew%3D5%C3%BC", "oak%2f%22elm%22%2bash%5c%20yew%3d5%c3%bc",
        "oak/%22elm%22%2Bash%5C%20yew=5%C3%BC", "oak%2F%22elm%22%2Bash%5C+yew%3D5%C3%BC",
        #"oak/\"elm\"+ash\\ yew=5ü"#, #"oak\/\"elm\"+ash\\ yew=5\u00fc"#,
        #"oak\u002f\u0022elm\u0022+ash\\ yew=5\u00FC"#,
        "oak/\"elm\"+ash\\ yew=5u\u{308}",
    ])
    func asTheyAreAndWithEscapes(_ form: String) {
        #expect(redacted("it is \(form), they say", Self.secret) == "it is [redacted], they say")
        #expect(redacted("it is \(form.dropFirst(2)), they say", Self.secret).contains("ash"))
    }

    @Test func aCharacterOfTwoUnitsAndWhatIsNoEscape() {
        let secret = "key 🚀 launch"
        #expect(redacted(#"a \ud83d \u12 key \ud83d\ude80 launch \"#, secret) == #"a \ud83d \u12 [redacted] \"#)
        #expect(redacted("100% of key%20%F0%9F%9A%80%20launch, 5%", secret) == "100% of [redacted], 5%")
        #expect(redacted(#"C:\new\table, 100%, 7%zz"#, secret) == #"C:\new\table, 100%, 7%zz"#)
        // What only looks like an escape is part of the secret.
        #expect(redacted(#"is a%41b\ndef, really"#, #"a%41b\ndef"#) == "is [redacted], really")
        #expect(redacted(#"{"x": "a%41\"bc"}"#, #"a%41"bc"#) == #"{"x": "[redacted]"}"#)
    }

    @Test(arguments: ["", "u:", "anna:", "a", "anna@host:", "12345"])
    func inBase64(_ before: String) {
        for secret in ["maple tree", "oak~elm?", "ash>>yew>>", "birch-and-fir"] {
            let standard = Data((before + secret).utf8).base64EncodedString()
            let url = standard.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
            for form in [standard, url] {
                let shown = redacted("is <\(form)>", secret)
                #expect(shown.contains("[redacted]"), "\(form): \(shown)")
                // What was before it, and signs that fill up, stay.
                let most = "is <[redacted]>".utf8.count + (before.utf8.count * 4 + 2) / 3 + 2
                #expect(shown.utf8.count <= most, "\(form): \(shown)")
            }
        }
    }

    @Test func shortOnesAreNotLookedForInBase64() {
        #expect(redacted("YWJjZGVmZw", "abcdefg") == "YWJjZGVmZw")
        #expect(redacted("YWJjZGVmZ2g", "abcdefgh") == "[redacted]")
        #expect(redacted("abcdefg", "abcdefg") == "[redacted]")
    }

    @Test func secretsThatOverlapAreRemovedAsAWhole() {
        #expect(redacted("an oak-elm-ash-yew here", "oak-elm-ash", "elm-ash-yew", "elm-ash") == "an [redacted] here")
        #expect(redacted("oak-elm-ash yew-fir-box", "oak-elm-ash", "yew-fir-box") == "[redacted] [redacted]")
    }

    @Test func manySecretsCostNoMoreThanFew() {
        let lines = (0..<100).map { "line \($0): loading https://host/path?a=1 of the tool in 5 ms, step \($0 % 7)" }
        func time(_ count: Int) -> Duration {
            let redaction = Redaction(confidential: Set((0..<count).map { "\($0) is the number of a secret" }))
            return ContinuousClock().measure { for line in lines { _ = redaction.redact(line) } }
        }
        let (few, many) = (time(2), time(5_000))
        #expect(many < few * 20 + .milliseconds(500), "\(few), \(many)")
    }

    // MARK: Cuts

    /// What may be published of a line when only its ends are kept.
    private func published(_ line: String, limit: Int, _ redaction: Redaction) -> String {
        var splitter = LineSplitter(limit: limit)
        var lines: [String] = []
        let collect = { (line: UnsafeRawBufferPointer) in lines.append(String(decoding: line, as: UTF8.self)) }
        Array(line.utf8).withUnsafeBytes { splitter.append($0, collect) }
        splitter.finish(collect)
        return lines.map { redaction.redact($0) }.joined()
    }

    /// One is known by value, one is not.
    @Test(arguments: ["correct horse battery staple", "ghp_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5"])
    func ofASecretWhereALineIsCutNoPartIsShown(_ secret: String) {
        let redaction = Redaction(confidential: secret.contains(" ") ? [secret] : [])
        let filler = String(repeating: "lorem ", count: 100)
        let bytes = Array(secret.utf8)
        let parts = (0...bytes.count - 4).map { String(decoding: bytes[$0..<$0 + 4], as: UTF8.self) }
        // The kept ends have 80 bytes.
        for start in Array(40...90) + Array(480...530) {
            let line = filler.prefix(start) + " " + secret + " " + filler.prefix(570 - start)
            let text = published(String(line), limit: 200, redaction)
            #expect(text.contains("bytes cut"))
            #expect(!parts.contains { text.contains($0) }, "\(start): \(text)")
        }
    }

    @Test func ofAnEscapeOrBase64WhereATextIsCutNoPartIsShown() {
        let secret = "pass/word-with/slashes"
        #expect(
            redacted("x pass%2Fword%2 … 9 bytes cut … 2Fslashes y", secret)
                == "x [redacted] … 9 bytes cut … [redacted] y"
        )
        #expect(redacted(#"x pass\/word\… /slashes y"#, secret) == "x [redacted]… [redacted] y")
        let encoded = Data("me:\(secret)".utf8).base64EncodedString()
        #expect(redacted("x \(encoded.prefix(18)) …", secret) == "x \(encoded.prefix(4))[redacted] …")
        #expect(redacted("… of the slashes … pas … and pass", secret) == "… of the slashes … pas … and pass")
    }
}
