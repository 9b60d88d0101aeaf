#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A moment in time: signed 64-bit nanoseconds since 1970-01-01T00:00:00Z, from 1677-09-21 to 2262-04-11.
public struct Timestamp: Hashable, Sendable {
    /// Nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
    public var nanosecondsSinceEpoch: Int64

    /// Creates a moment from nanoseconds since 1970-01-01T00:00:00Z.
    @inlinable
    public init(nanosecondsSinceEpoch: Int64) { self.nanosecondsSinceEpoch = nanosecondsSinceEpoch }

    /// 1970-01-01T00:00:00Z: the time of an event that has not been emitted.
    @inlinable
    public static var epoch: Timestamp { Timestamp(nanosecondsSinceEpoch: 0) }

    /// The system's clock, now.
    public static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanosecondsSinceEpoch: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
    }

    /// This moment moved by a duration, to the nanosecond; stops at the ends of the range.
    public func adding(_ duration: Duration) -> Timestamp {
        let sum = Int128(nanosecondsSinceEpoch) + duration.nanoseconds
        return Timestamp(nanosecondsSinceEpoch: Int64(clamping: sum))
    }

    /// This moment moved back by a duration, to the nanosecond; stops at the ends of the range.
    public func subtracting(_ duration: Duration) -> Timestamp {
        let difference = Int128(nanosecondsSinceEpoch) - duration.nanoseconds
        return Timestamp(nanosecondsSinceEpoch: Int64(clamping: difference))
    }

    /// How much time lies between `earlier` and this moment; negative when `earlier` is later.
    public func duration(since earlier: Timestamp) -> Duration {
        let difference = Int128(nanosecondsSinceEpoch) - Int128(earlier.nanosecondsSinceEpoch)
        let (seconds, nanoseconds) = difference.quotientAndRemainder(dividingBy: 1_000_000_000)
        return .seconds(Int64(seconds)) + .nanoseconds(Int64(nanoseconds))
    }
}

extension Timestamp: Comparable {
    /// Whether `left` is earlier.
    @inlinable
    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.nanosecondsSinceEpoch < right.nanosecondsSinceEpoch
    }
}

extension Timestamp: Codable {
    /// Reads an RFC 3339 string.
    ///
    /// - Throws: `DecodingError` when it is not one, or out of range.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        do {
            self = try Timestamp(rfc3339: container.decode(String.self))
        } catch let error as MeshEventsError {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.message)
        }
    }

    /// Writes an RFC 3339 string in UTC.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension Duration {
    /// Whole nanoseconds, rounded toward zero.
    fileprivate var nanoseconds: Int128 {
        // Components of more seconds than 64 bits do not exist.
        let range = Duration.seconds(Int64.min)...Duration.seconds(Int64.max)
        let (seconds, attoseconds) = min(max(self, range.lowerBound), range.upperBound).components
        return Int128(seconds) * 1_000_000_000 + Int128(attoseconds / 1_000_000_000)
    }
}
