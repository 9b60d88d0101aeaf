import MeshLogging
import Testing

@Suite struct HarmlessTextTests {
    @Test(
        "in messages and log lines, what moves a cursor, reorders a line or is not seen is an escape",
        arguments: [
            ("a\u{1B}[31m\n", #"a\u001b[31m\u000a"#), ("\u{202E}b\u{2069}", #"\u202eb\u2069"#), ("\u{85}", #"\u0085"#),
            ("a\u{200B}\u{AD}b", #"a\u200b\u00adb"#), ("\u{3164}\u{E000}", #"\u3164\ue000"#),
            ("\u{E0041}", #"\udb40\udc41"#), ("Größe 世界 ❤\u{FE0F} 👩‍👧", "Größe 世界 ❤\u{FE0F} 👩‍👧"), ("", ""),
        ]
    )
    func escapes(text: String, harmless: String) {
        #expect(text.harmless == harmless)
        #expect(harmless.harmless == harmless)
    }

    @Test func whatScriptsNeedIsUnseenAndNotHarmful() {
        for scalar in "\u{200C}\u{200D}\u{FE01}\u{E0101}".unicodeScalars {
            #expect(scalar.isUnseen && !scalar.isHarmful, "\(scalar.jsonEscape)")
        }
        #expect("aß世\u{FE0F}".unicodeScalars.allSatisfy { !$0.isUnseen && !$0.isHarmful })
    }
}
