import Testing

@testable import NATSClient

@Suite struct ReplyCodeTests {
    private func code(_ code: ReplyCode, _ id: UInt64, isShared: Bool = false) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: ReplyCode.length) { buffer, count in
            code.write(id, isShared: isShared, into: buffer)
            count = ReplyCode.length
        }
    }

    @Test func aCodeIsThatOfItsNumberAlone() {
        let mine = ReplyCode()
        let other = ReplyCode()
        var seen: Set<[UInt8]> = []
        for id: UInt64 in 0..<1_000 {
            let letters = code(mine, id)
            #expect(mine.matches(letters, id, isShared: false))
            #expect(!mine.matches(letters, id + 1, isShared: false) && !mine.matches(letters, id, isShared: true))
            #expect(!other.matches(letters, id, isShared: false))
            #expect(!mine.matches(letters.dropLast(), id, isShared: false) && !mine.matches([], id, isShared: false))
            #expect(letters.allSatisfy { (UInt8(ascii: "a")...UInt8(ascii: "p")).contains($0) })
            seen.insert(letters)
        }
        #expect(seen.count == 1_000)
    }
}
