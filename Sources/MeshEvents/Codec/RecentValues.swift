/// Remembers values made from bytes that repeat (types, names of nodes), so that each is made once.
///
/// A value's slot is a hash of its bytes; a new value replaces the one in its slot. Holds at most 64 values of at most
/// 256 bytes each.
struct RecentValues<Value: Sendable>: Sendable {
    private static var slots: Int { 64 }
    private static var maximumLength: Int { 256 }

    private var values: [Value?] = Array(repeating: nil, count: Self.slots)

    /// The value for these bytes: a remembered one that `matches`, else what `make` makes.
    @inline(__always)
    mutating func value(
        for bytes: UnsafeBufferPointer<UInt8>,
        matches: (Value) -> Bool,
        make: () -> Value?
    ) -> Value? {
        let slot = Self.slot(bytes)
        if let value = values[slot], matches(value) { return value }
        let made = make()
        if bytes.count <= Self.maximumLength { values[slot] = made }
        return made
    }

    @inline(__always)
    private static func slot(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        var hash: UInt64 = UInt64(truncatingIfNeeded: bytes.count)
        if let start = bytes.baseAddress.map(UnsafeRawPointer.init) {
            let count = bytes.count
            if count >= 8 {
                hash ^= start.loadUnaligned(as: UInt64.self) &* 0x9E37_79B9_7F4A_7C15
                hash ^= (start + (count - 8)).loadUnaligned(as: UInt64.self) &* 0xC2B2_AE3D_27D4_EB4F
            } else {
                for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x9E37_79B9_7F4A_7C15 }
            }
        }
        hash &*= 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: hash &>> 58)
    }
}
