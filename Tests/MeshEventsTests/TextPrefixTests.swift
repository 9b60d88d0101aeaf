import Testing

@testable import MeshEvents

@Suite("The beginning of a text")
struct TextPrefixTests {
    @Test(
        "bytes: never more than asked for, never a part of a scalar",
        arguments: ["", "plain", "aé€😀", "e\u{301}\u{302}x", "🏳️‍🌈"]
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

    @Test("scalars") func scalars() {
        #expect("aé€😀".prefix(scalars: 3) == "aé€" && "aé".prefix(scalars: 9) == "aé" && "a".prefix(scalars: 0) == "")
    }
}
