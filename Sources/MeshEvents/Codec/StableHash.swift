/// A hash of 128 bits that is the same in every process: FNV-1a (Fowler, Noll, Vo). Not for input that an attacker
/// could choose, since collisions can be made.
package struct StableHash: Sendable, Hashable {
    private var value: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d

    /// Creates the hash of no pieces.
    package init() {}

    /// Adds a piece; the same bytes in other pieces give another hash.
    package mutating func add(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { value = (value ^ UInt128(byte)) &* 0x0000_0000_0100_0000_0000_0000_0000_013b }
        value = (value ^ 0x100) &* 0x0000_0000_0100_0000_0000_0000_0000_013b
    }

    /// The hash in base 36.
    package var text: String { String(value, radix: 36) }
}
