import Testing

@testable import MeshEvents

@Suite("Message ids")
struct MessageIDsTests {
    private func hexadecimal(_ words: (UInt64, UInt64)) -> String {
        [words.0, words.1].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
            .map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }
            .joined()
    }

    @Test("the hash is SipHash-2-4 with 128 bits, as OpenSSL computes it")
    func vectors() {
        let ascending = KeyedHash(key: (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908))
        #expect(hexadecimal(ascending.of(0x0706_0504_0302_0100)) == "3b62a9ba6258f5610f83e264f31497b4")
        #expect(hexadecimal(ascending.of(0)) == "c293ab68efe6f296bd92a49d6257801d")
        let other = KeyedHash(key: (0x8899_aabb_ccdd_eeff, 0x0011_2233_4455_6677))
        #expect(hexadecimal(other.of(.max)) == "dce7f483752d8ba2b59ccaf47701cd36")
    }

    @Test("each is new, of 26 characters that need no escape anywhere, and a bus shares none with another")
    func new() {
        let (some, others) = (MessageIDs(), MessageIDs())
        var seen: Set<String> = []
        for _ in 0..<10_000 {
            for id in [some.next(), others.next()] {
                #expect(id.utf8.count == 26)
                #expect(id.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x76).contains($0) }, "\(id)")
                seen.insert(id)
            }
        }
        #expect(seen.count == 20_000)
    }

    @Test("an id is the whole hash of the counter: it has all of its bits")
    func text() {
        let key: (UInt64, UInt64) = (1, 2)
        let id = MessageIDs(key: key).next()
        let words = KeyedHash(key: key).of(1)
        func number(_ text: some StringProtocol) -> UInt64? { UInt64(String(text.reversed()), radix: 32) }
        #expect(number(id.prefix(13)) == words.0)
        #expect(number(id.suffix(13)) == words.1)
    }
}
