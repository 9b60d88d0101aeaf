import MeshJSON

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

extension Timestamp: CustomStringConvertible {
    /// RFC 3339 in UTC, with as many fraction digits as needed (none to nine), as Go's `time.RFC3339Nano` writes it:
    /// `2026-11-24T09:04:34.01671002Z`.
    public var description: String {
        String(unsafeUninitializedCapacity: Self.maximumLength) { buffer in
            guard let base = buffer.baseAddress else { return 0 }
            return write(to: base)
        }
    }

    /// The longest ``description``, in bytes.
    static let maximumLength = 30

    /// Writes ``description``; there must be room for ``maximumLength`` bytes.
    func write(to output: UnsafeMutablePointer<UInt8>) -> Int {
        // Counted from ``shift`` before the epoch, all values are positive.
        let (seconds, nanoseconds) = secondsAndNanoseconds
        let (day, second) = UInt64(bitPattern: seconds &+ Self.shift).quotientAndRemainder(dividingBy: 86_400)
        let date = CivilDate(daysSinceEpoch: Int(truncatingIfNeeded: day) &- Int(Self.shift / 86_400))
        let time = Int(truncatingIfNeeded: second)

        DigitPairs.write(date.year / 100, to: output)
        DigitPairs.write(date.year % 100, to: output + 2)
        output[4] = UInt8(ascii: "-")
        DigitPairs.write(date.month, to: output + 5)
        output[7] = UInt8(ascii: "-")
        DigitPairs.write(date.day, to: output + 8)
        output[10] = UInt8(ascii: "T")
        DigitPairs.write(time / 3600, to: output + 11)
        output[13] = UInt8(ascii: ":")
        DigitPairs.write(time / 60 % 60, to: output + 14)
        output[16] = UInt8(ascii: ":")
        DigitPairs.write(time % 60, to: output + 17)
        var length = 19
        if nanoseconds > 0 {
            output[length] = UInt8(ascii: ".")
            let high = nanoseconds / 100_000
            let low = nanoseconds % 100_000
            DigitPairs.write(high / 100, to: output + 20)
            DigitPairs.write(high % 100, to: output + 22)
            output[24] = UInt8(truncatingIfNeeded: low / 10_000) &+ UInt8(ascii: "0")
            DigitPairs.write(low / 100 % 100, to: output + 25)
            DigitPairs.write(low % 100, to: output + 27)
            length = 29
            while output[length &- 1] == UInt8(ascii: "0") { length &-= 1 }
        }
        output[length] = UInt8(ascii: "Z")
        return length &+ 1
    }

    /// Whole days, in seconds: moves the whole range above zero.
    private static var shift: Int64 { 110_000 * 86_400 }

    /// Rounded down, so that nanoseconds are never negative.
    @inline(__always)
    private var secondsAndNanoseconds: (Int64, Int) {
        let (seconds, nanoseconds) = nanosecondsSinceEpoch.quotientAndRemainder(dividingBy: 1_000_000_000)
        guard nanoseconds < 0 else { return (seconds, Int(nanoseconds)) }
        return (seconds &- 1, Int(nanoseconds) &+ 1_000_000_000)
    }
}

extension Timestamp {
    enum ParseFailure: Error { case syntax, range }

    /// Reads RFC 3339: any offset, `T` and `Z` in lower case too, a space for the `T`, any number of fraction digits
    /// (those beyond nanoseconds are dropped). A leap second (`23:59:60` in UTC) reads as the last nanosecond before
    /// midnight.
    ///
    /// - Throws: `invalidTimestamp` when it is something else, or outside the years 1677 to 2262 that fit.
    public init(rfc3339 string: String) throws(MeshEventsError) {
        let result = string.withBytes { bytes -> Result<Timestamp, ParseFailure> in
            do throws(ParseFailure) {
                return .success(try Timestamp(bytes: bytes))
            } catch {
                return .failure(error)
            }
        }
        switch result {
        case .success(let timestamp): self = timestamp
        case .failure(.syntax):
            let hint = "is not an RFC 3339 time; write it like 2026-11-24T09:04:34Z"
            throw MeshEventsError(.invalidTimestamp, "\(SubjectRules.quoted(string)) \(hint)")
        case .failure(.range):
            let range = "lies outside 1677-09-21T00:12:43.145224192Z to 2262-04-11T23:47:16.854775807Z"
            throw MeshEventsError(.invalidTimestamp, "\(SubjectRules.quoted(string)) \(range)")
        }
    }

    /// Reads RFC 3339 from raw bytes, without allocating; see ``init(rfc3339:)``.
    init(bytes: UnsafeBufferPointer<UInt8>) throws(ParseFailure) {
        if let usual = Timestamp(usual: bytes) {
            self = usual
            return
        }
        var reader = TimestampReader(bytes: bytes)
        self = try reader.read()
    }
}

extension Timestamp {
    /// Reads the form that nearly all events have, `2026-11-24T09:04:34.01671002Z` with up to nine fraction digits, in
    /// the years 1970 to 2199; `nil` for everything else, which ``TimestampReader`` reads.
    private init?(usual bytes: UnsafeBufferPointer<UInt8>) {
        let count = bytes.count
        guard count >= 20, count <= Self.maximumLength, let text = bytes.baseAddress else { return nil }
        guard text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"), text[10] == UInt8(ascii: "T"),
            text[13] == UInt8(ascii: ":"), text[16] == UInt8(ascii: ":"), text[count &- 1] == UInt8(ascii: "Z")
        else { return nil }
        var isBad = false

        @inline(__always)
        func two(_ offset: Int) -> Int {
            let tens = text[offset] &- UInt8(ascii: "0")
            let units = text[offset &+ 1] &- UInt8(ascii: "0")
            isBad = isBad || tens > 9 || units > 9
            return Int(tens) &* 10 &+ Int(units)
        }

        let year = two(0) &* 100 &+ two(2)
        let month = two(5)
        let day = two(8)
        let hour = two(11)
        let minute = two(14)
        let second = two(17)
        var nanoseconds = 0
        if count > 20 {
            guard text[19] == UInt8(ascii: "."), count > 21 else { return nil }
            for offset in 20..<(count &- 1) {
                let digit = text[offset] &- UInt8(ascii: "0")
                isBad = isBad || digit > 9
                nanoseconds = nanoseconds &* 10 &+ Int(digit)
            }
            for _ in (count &- 21)..<9 { nanoseconds &*= 10 }
        }
        guard !isBad, year >= 1970, year <= 2199, month >= 1, month <= 12, day >= 1,
            day <= 28
                || day
                    <= CivilDate.length(ofMonth: month, year: year),
            hour <= 23, minute <= 59, second <= 59
        else { return nil }
        let days = CivilDate(year: year, month: month, day: day).daysSinceEpoch
        let seconds = days &* 86_400 &+ hour &* 3600 &+ minute &* 60 &+ second
        self.init(nanosecondsSinceEpoch: Int64(seconds) &* 1_000_000_000 &+ Int64(nanoseconds))
    }
}

/// Reads one RFC 3339 time.
private struct TimestampReader {
    let bytes: UnsafeBufferPointer<UInt8>
    var offset = 0

    init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    mutating func read() throws(Timestamp.ParseFailure) -> Timestamp {
        // The shortest is 2026-11-24T09:04:34Z.
        guard bytes.count >= 20 else { throw .syntax }
        let year = try two() * 100 + two()
        try separator("-")
        let month = try two()
        try separator("-")
        let day = try two()
        guard next() | 0x20 == UInt8(ascii: "t") || bytes[offset - 1] == 0x20 else { throw .syntax }
        let hour = try two()
        try separator(":")
        let minute = try two()
        try separator(":")
        let second = try two()
        let nanosecond = try fraction()
        let offsetInMinutes = try zone()
        guard offset == bytes.count, (1...12).contains(month), hour <= 23, minute <= 59, second <= 60,
            day >= 1, day <= CivilDate.length(ofMonth: month, year: year)
        else { throw .syntax }

        let days = CivilDate(year: year, month: month, day: day).daysSinceEpoch
        var seconds = days * 86_400 + hour * 3600 + minute * 60 + min(second, 59) - offsetInMinutes * 60
        var nanoseconds = nanosecond
        if second == 60 {
            // Leap seconds are the last of a day in UTC.
            guard (seconds % 86_400 + 86_400) % 86_400 == 86_399 else { throw .syntax }
            nanoseconds = 999_999_999
        }
        if seconds < 0, nanoseconds > 0 {
            // Keeps the product within Int64 at the lower end.
            seconds += 1
            nanoseconds -= 1_000_000_000
        }
        let (product, overflows) = Int64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflowsToo) = product.addingReportingOverflow(Int64(nanoseconds))
        guard !overflows, !overflowsToo else { throw .range }
        return Timestamp(nanosecondsSinceEpoch: sum)
    }

    /// The next byte; 0 at the end.
    @inline(__always)
    private mutating func next() -> UInt8 {
        guard offset < bytes.count else {
            offset += 1
            return 0
        }
        defer { offset += 1 }
        return bytes[offset]
    }

    @inline(__always)
    private mutating func separator(_ character: Unicode.Scalar) throws(Timestamp.ParseFailure) {
        guard next() == UInt8(ascii: character) else { throw .syntax }
    }

    @inline(__always)
    private mutating func two() throws(Timestamp.ParseFailure) -> Int {
        let tens = next() &- UInt8(ascii: "0")
        let units = next() &- UInt8(ascii: "0")
        guard tens <= 9, units <= 9 else { throw .syntax }
        return Int(tens) &* 10 &+ Int(units)
    }

    private mutating func fraction() throws(Timestamp.ParseFailure) -> Int {
        guard offset < bytes.count, bytes[offset] == UInt8(ascii: ".") else { return 0 }
        offset += 1
        var nanoseconds = 0
        var digits = 0
        while offset < bytes.count {
            let digit = bytes[offset] &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            if digits < 9 { nanoseconds = nanoseconds &* 10 &+ Int(digit) }
            digits &+= 1
            offset &+= 1
        }
        guard digits > 0 else { throw .syntax }
        while digits < 9 {
            nanoseconds *= 10
            digits += 1
        }
        return nanoseconds
    }

    /// Minutes east of Greenwich.
    private mutating func zone() throws(Timestamp.ParseFailure) -> Int {
        let sign = next()
        if sign | 0x20 == UInt8(ascii: "z") { return 0 }
        guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else { throw .syntax }
        let hours = try two()
        try separator(":")
        let minutes = try two()
        guard hours <= 23, minutes <= 59 else { throw .syntax }
        return (hours * 60 + minutes) * (sign == UInt8(ascii: "-") ? -1 : 1)
    }
}

/// A date of the proleptic Gregorian calendar.
private struct CivilDate {
    var year: Int
    var month: Int
    var day: Int

    init(year: Int, month: Int, day: Int) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// The date so many days after 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": eras of
    /// 400 years that begin on 1 March).
    init(daysSinceEpoch: Int) {
        let shifted = daysSinceEpoch &+ 719_468
        let era = (shifted >= 0 ? shifted : shifted &- 146_096) / 146_097
        let dayOfEra = UInt32(truncatingIfNeeded: shifted &- era &* 146_097)
        let yearOfEra = (dayOfEra &- dayOfEra / 1460 &+ dayOfEra / 36_524 &- dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra &- (365 &* yearOfEra &+ yearOfEra / 4 &- yearOfEra / 100)
        let shiftedMonth = (5 &* dayOfYear &+ 2) / 153
        day = Int(dayOfYear &- (153 &* shiftedMonth &+ 2) / 5 &+ 1)
        month = Int(shiftedMonth < 10 ? shiftedMonth &+ 3 : shiftedMonth &- 9)
        year = Int(yearOfEra) &+ era &* 400 &+ (month <= 2 ? 1 : 0)
    }

    /// Days after 1970-01-01; negative before.
    var daysSinceEpoch: Int {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    static func length(ofMonth month: Int, year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}
