/// Reads timestamps and remembers the last second: successive events mostly differ in the fraction only.
struct RecentSecond: Sendable {
    /// The bytes of `2026-11-24T09:04:34`, as three words that overlap.
    private var text: (UInt64, UInt64, UInt64) = (0, 0, 0)
    private var nanoseconds: Int64 = 0

    /// The time that these bytes spell; `nil` when they are no time.
    @inline(__always)
    mutating func timestamp(_ bytes: UnsafeBufferPointer<UInt8>) -> Timestamp? {
        // The form with a fraction and in UTC, `2026-11-24T09:04:34.01671002Z`.
        guard bytes.count >= 22, bytes.count <= Timestamp.maximumLength, let start = bytes.baseAddress,
            start[19] == UInt8(ascii: "."), start[bytes.count &- 1] == UInt8(ascii: "Z"),
            let fraction = Self.fraction(start, count: bytes.count &- 21)
        else { return try? Timestamp(bytes: bytes) }
        let raw = UnsafeRawPointer(start)
        let second = (
            raw.loadUnaligned(as: UInt64.self), raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
            raw.loadUnaligned(fromByteOffset: 11, as: UInt64.self)
        )
        if second == text { return Timestamp(nanosecondsSinceEpoch: nanoseconds &+ fraction) }
        return remember(second, fraction, bytes)
    }

    @inline(never)
    private mutating func remember(
        _ second: (UInt64, UInt64, UInt64),
        _ fraction: Int64,
        _ bytes: UnsafeBufferPointer<UInt8>
    ) -> Timestamp? {
        guard let timestamp = try? Timestamp(bytes: bytes) else { return nil }
        let start = timestamp.nanosecondsSinceEpoch &- fraction
        // Not a leap second, whose fraction is dropped, and not near the ends of a timestamp's range.
        if bytes[17] < UInt8(ascii: "6"), start.isMultiple(of: 1_000_000_000), start >= 0, start < 1 << 62 {
            text = second
            nanoseconds = start
        }
        return timestamp
    }

    /// Up to nine digits behind the point, in nanoseconds.
    @inline(__always)
    private static func fraction(_ start: UnsafePointer<UInt8>, count: Int) -> Int64? {
        var nanoseconds: Int64 = 0
        for offset in 20..<20 &+ count {
            let digit = start[offset] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            nanoseconds = nanoseconds &* 10 &+ Int64(digit)
        }
        for _ in count..<9 { nanoseconds &*= 10 }
        return nanoseconds
    }
}
