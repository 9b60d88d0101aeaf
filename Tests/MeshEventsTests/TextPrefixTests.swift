import Testing

@testable import MeshEvents

@Suite("The beginning and the end of a text")
struct TextPrefixTests {
    private static let texts = ["", "plain", "aé€😀", "e\u{301}\u{302}x", "🏳️‍🌈"]

    @Test(
        "bytes: never more than asked for, never a part of a scalar",
        arguments: texts
    )
    func bytes(_ text: String) {
        for count in -1...text.utf8.count + 1 {
            let cut = text.prefix(bytes: count)
            #expect(cut.utf8.count <= max(0, count) && text.utf8.starts(with: cut.utf8), "\(count)")
            #expect(!cut.unicodeScalars.contains("\u{FFFD}"))
            // The next scalar has no room.
            let next = text.unicodeScalars.dropFirst(cut.unicodeScalars.count).first.map { UTF8.width($0) }
            #expect(next.map { cut.utf8.count + $0 > count } ?? (cut == text), "\(count)")
        }
    }

    @Test(
        "the end: never more than asked for, never a part of a scalar",
        arguments: texts
    )
    func end(_ text: String) {
        for count in -1...text.utf8.count + 1 {
            let cut = text.suffix(bytes: count)
            #expect(cut.utf8.count <= max(0, count) && Array(text.utf8).suffix(cut.utf8.count) == Array(cut.utf8)[...])
            #expect(!cut.unicodeScalars.contains("\u{FFFD}"))
            // The scalar before has no room.
            let before = text.unicodeScalars.dropLast(cut.unicodeScalars.count).last.map { UTF8.width($0) }
            #expect(before.map { cut.utf8.count + $0 > count } ?? (cut == text), "\(count)")
        }
    }

    @Test("of a long text the beginning and the end") func abridged() {
        #expect("short".abridged(bytes: 5) == "short")
        let long = "begin " + String(repeating: "€", count: 1_000) + " fatal: disk full"
        let cut = long.abridged(bytes: 100)
        #expect(cut.hasPrefix("begin €") && cut.hasSuffix("€ fatal: disk full") && cut.utf8.count <= 100, "\(cut)")
        let missing = cut.firstMatch(of: #/^(.*) … (\d+) bytes cut … (.*)$/#)
        #expect(missing.map { $0.1.utf8.count + $0.3.utf8.count + (Int($0.2) ?? 0) } == long.utf8.count)
        #expect(long.abridged(bytes: 0) == " … \(long.utf8.count) bytes cut … ")
    }

    @Test("of a long text the beginning and an ellipsis") func truncated() {
        #expect("short".truncated(bytes: 5) == "short" && "longer".truncated(bytes: 5) == "lo…")
        #expect("aé€😀".truncated(bytes: 9) == "aé€…" && "aé€😀".truncated(bytes: 8) == "aé…")
    }

    @Test("scalars") func scalars() {
        #expect("aé€😀".prefix(scalars: 3) == "aé€" && "aé".prefix(scalars: 9) == "aé" && "a".prefix(scalars: 0) == "")
    }
}
