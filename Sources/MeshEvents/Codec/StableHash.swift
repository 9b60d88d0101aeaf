/// A hash that is the same in every process, 128 bits: FNV-1a (Fowler, Noll, Vo), for telling apart what nobody forges.
package struct StableHash: Sendable, Hashable {
    private var value: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d

    /// The hash of nothing.
    package init() {}

    /// Adds a piece; where one piece ends matters.
    package mutating func add(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { value = (value ^ UInt128(byte)) &* 0x0000_0000_0100_0000_0000_0000_0000_013b }
        value = (value ^ 0x100) &* 0x0000_0000_0100_0000_0000_0000_0000_013b
    }

    /// The hash in base 36.
    package var text: String { String(value, radix: 36) }
}
