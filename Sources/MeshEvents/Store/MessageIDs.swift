import Synchronization

/// Makes message ids that only this bus can know before it uses them. Each is a keyed hash of a counter, with a key of
/// 128 random bits that stays in this process.
///
/// Every reader of a stream sees the ids of its messages. If the next id followed from those, another client could use
/// it first; the server would then take the event for a duplicate and not store it.
package final class MessageIDs: Sendable {
    /// 128 bits, five a character, as two numbers of 64.
    private static let length = 26

    private let hash: KeyedHash
    private let counter = Atomic<UInt64>(0)

    /// Takes a key from the system's generator, which is cryptographically secure.
    package convenience init() {
        self.init(key: (UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max)))
    }

    init(key: (UInt64, UInt64)) { hash = KeyedHash(key: key) }

    /// The next id. Written digit by digit in one allocation, since every stored event needs one.
    package func next() -> String {
        let words = hash.of(counter.wrappingAdd(1, ordering: .relaxed).newValue)
        return String(unsafeUninitializedCapacity: Self.length) { buffer in
            Self.write(words.0, to: buffer, at: 0)
            Self.write(words.1, to: buffer, at: Self.length / 2)
            return Self.length
        }
    }

    private static func write(_ word: UInt64, to buffer: UnsafeMutableBufferPointer<UInt8>, at start: Int) {
        var rest = word
        for index in start..<start + length / 2 {
            let digit = UInt8(truncatingIfNeeded: rest & 31)
            let character = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
            buffer.initializeElement(at: index, to: character)
            rest >>= 5
        }
    }
}

/// SipHash-2-4 with 128 bits (Aumasson and Bernstein, "SipHash: a fast short-input PRF"): without the key its values
/// look random, however many of them are known. Swift's own `Hasher` does not guarantee that.
struct KeyedHash: Sendable {
    private let key: (UInt64, UInt64)

    init(key: (UInt64, UInt64)) { self.key = key }

    /// The hash of a number's eight bytes, least significant first.
    func of(_ number: UInt64) -> (UInt64, UInt64) {
        var state = State(key)
        state.absorb(number)
        // The last block holds the number of bytes, and no data.
        state.absorb(8 << 56)
        return state.finish()
    }

    private struct State {
        var v0: UInt64
        var v1: UInt64
        var v2: UInt64
        var v3: UInt64

        init(_ key: (UInt64, UInt64)) {
            v0 = key.0 ^ 0x736f_6d65_7073_6575
            v1 = key.1 ^ 0x646f_7261_6e64_6f6d ^ 0xee
            v2 = key.0 ^ 0x6c79_6765_6e65_7261
            v3 = key.1 ^ 0x7465_6462_7974_6573
        }

        mutating func absorb(_ block: UInt64) {
            v3 ^= block
            round()
            round()
            v0 ^= block
        }

        mutating func finish() -> (UInt64, UInt64) {
            v2 ^= 0xee
            for _ in 0..<4 { round() }
            let first = v0 ^ v1 ^ v2 ^ v3
            v1 ^= 0xdd
            for _ in 0..<4 { round() }
            return (first, v0 ^ v1 ^ v2 ^ v3)
        }

        private mutating func round() {
            v0 &+= v1
            v1 = Self.rotated(v1, 13) ^ v0
            v0 = Self.rotated(v0, 32)
            v2 &+= v3
            v3 = Self.rotated(v3, 16) ^ v2
            v0 &+= v3
            v3 = Self.rotated(v3, 21) ^ v0
            v2 &+= v1
            v1 = Self.rotated(v1, 17) ^ v2
            v2 = Self.rotated(v2, 32)
        }

        private static func rotated(_ word: UInt64, _ count: UInt64) -> UInt64 {
            word &<< count | word &>> (64 - count)
        }
    }
}
