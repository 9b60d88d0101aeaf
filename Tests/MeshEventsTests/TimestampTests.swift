import MeshEvents
import Testing

@Suite struct TimestampTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2026-11-24T09:04:34Z", 1_795_511_074_000_000_000),
        ("2026-11-24T09:04:34.01671002Z", 1_795_511_074_016_710_020),
        ("2026-11-24T10:04:34.01671002+01:00", 1_795_511_074_016_710_020),
        ("2026-11-24T03:34:34.01671002-05:30", 1_795_511_074_016_710_020),
        ("2026-11-24T09:04:34.01671002-00:00", 1_795_511_074_016_710_020),
        ("2026-11-24t09:04:34.01671002z", 1_795_511_074_016_710_020),
        ("2026-11-24 09:04:34.01671002Z", 1_795_511_074_016_710_020),
        ("2026-11-25T09:03:34+23:59", 1_795_511_074_000_000_000),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000_000_000),
        ("2000-02-29T12:00:00Z", 951_825_600_000_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_799_999_999_999),
        ("1990-12-31T15:59:60-08:00", 662_687_999_999_999_999),
        ("1677-09-21T00:12:43.145224192Z", Int.min),
        ("2262-04-11T23:47:16.854775807Z", Int.max),
    ]) func `every form of RFC 3339 reads right`(string: String, nanoseconds: Int) throws {
        #expect(try Timestamp(rfc3339: string).nanosecondsSinceEpoch == Int64(nanoseconds))
    }

    @Test func `0 to 12 fraction digits read to the nanosecond, the rest is dropped`() throws {
        let digits = "123456789987"
        for count in 0...12 {
            let fraction = count == 0 ? "" : "." + digits.prefix(count)
            let padded = String((digits.prefix(min(count, 9)) + "000000000").prefix(9))
            for zone in ["Z", "+00:00"] {
                let timestamp = try Timestamp(rfc3339: "1970-01-01T00:00:00\(fraction)\(zone)")
                #expect(timestamp.nanosecondsSinceEpoch == Int64(padded))
            }
        }
    }

    @Test(arguments: [
        "", "Z", "2026", "2026-11-24", "2026-11-24T09:04:34", "2026-11-24T09:04Z", "2026-11-24T09:04:34.Z",
        "2026-11-24T09:04:34,5Z",
        "2026-11-24T09:04:34.5", "2026-11-24T09:04:34+01", "2026-11-24T09:04:34+0100", "2026-11-24T09:04:34+24:00",
        "2026-11-24T09:04:34+01:60", "2026-11-24T09:04:34ZZ", "2026-11-24T09:04:34Z ", " 2026-11-24T09:04:34Z",
        "2026-13-24T09:04:34Z", "2026-00-24T09:04:34Z", "2026-11-31T09:04:34Z", "2026-11-00T09:04:34Z",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z", "2026-11-24T24:00:00Z", "2026-11-24T09:60:34Z", "2026-11-24T09:04:61Z",
        "2026-11-24T09:04:60Z",
        "2026/11/24T09:04:34Z", "2026-11-24x09:04:34Z", "+026-11-24T09:04:34Z", "20261-11-24T09:04:34Z",
        "２026-11-24T09:04:34Z",
        "2026-11-24T09:04:34.12a4Z", "2026-1a-24T09:04:34Z",
        "1677-09-21T00:12:43.145224191Z", "2262-04-11T23:47:16.854775808Z", "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999999Z",
    ]) func `what is not RFC 3339, or out of range, is refused`(string: String) throws {
        let error = try #require(throws: MeshEventsError.self) { try Timestamp(rfc3339: string) }
        #expect(error.code == .invalidTimestamp)
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00Z"),
        (1_795_511_074_016_710_020, "2026-11-24T09:04:34.01671002Z"),
        (1_795_511_074_100_000_000, "2026-11-24T09:04:34.1Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (Int.min, "1677-09-21T00:12:43.145224192Z"),
        (Int.max, "2262-04-11T23:47:16.854775807Z"),
        (951_825_600_000_000_000, "2000-02-29T12:00:00Z"),
    ]) func `times are written in UTC, trailing zeros trimmed`(nanoseconds: Int, string: String) {
        #expect(Timestamp(nanosecondsSinceEpoch: Int64(nanoseconds)).description == string)
    }

    @Test func `any time survives writing and reading`() throws {
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<20_000 {
            let timestamp = Timestamp(nanosecondsSinceEpoch: .random(in: .min ... .max, using: &generator))
            #expect(try Timestamp(rfc3339: timestamp.description) == timestamp)
        }
    }

    @Test func `every day from 1680 to 2260 follows the one before`() throws {
        let day: Int64 = 86_400_000_000_000
        var timestamp = try Timestamp(rfc3339: "1680-01-01T00:00:00Z").nanosecondsSinceEpoch
        var (year, month, dayOfMonth) = (1680, 1, 1)
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        while year < 2260 {
            let expected = "\(year)-\(two(month))-\(two(dayOfMonth))T00:00:00Z"
            let written = Timestamp(nanosecondsSinceEpoch: timestamp).description
            if written != expected { Issue.record("\(written), not \(expected)") }
            let isLeap = year % 4 == 0 && year % 100 != 0 || year % 400 == 0
            let length = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
            dayOfMonth += 1
            if dayOfMonth > length { (dayOfMonth, month) = (1, month + 1) }
            if month > 12 { (month, year) = (1, year + 1) }
            timestamp += day
        }
    }

    @Test func `arithmetic stops at the ends of the range and never traps`() {
        let last = Timestamp(nanosecondsSinceEpoch: .max)
        let first = Timestamp(nanosecondsSinceEpoch: .min)
        #expect(last.adding(.seconds(1)) == last)
        #expect(first.subtracting(.seconds(1)) == first)
        #expect(Timestamp.epoch.adding(.seconds(Int64.max)) == last)
        #expect(Timestamp.epoch.adding(.milliseconds(1_500)).nanosecondsSinceEpoch == 1_500_000_000)
        #expect(Timestamp.epoch.subtracting(.nanoseconds(1)).nanosecondsSinceEpoch == -1)
        #expect(last.duration(since: first) == .seconds(18_446_744_073) + .nanoseconds(709_551_615))
        #expect(Timestamp.epoch.duration(since: .epoch.adding(.seconds(2))) == .seconds(-2))
        #expect(first < last)
    }

    @Test func `now is after this was written`() {
        #expect(Timestamp.now.description > "2026-01-01")
    }
}
