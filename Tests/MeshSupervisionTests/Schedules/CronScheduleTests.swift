import MeshEvents
import MeshSupervision
import Testing

@Suite("Schedules in the notation of cron")
struct CronScheduleTests {
    private func next(_ schedule: CronSchedule, _ after: String, _ count: Int = 1) throws -> [String] {
        var (time, times) = (try Timestamp(rfc3339: after), [String]())
        for _ in 0..<count {
            time = try #require(schedule.next(after: time))
            times.append(time.description)
        }
        return times
    }

    @Test("the times are those of croniter", arguments: CroniterTable.rows.indices)
    func croniter(_ index: Int) throws {
        let row = CroniterTable.rows[index]
        #expect(try next(CronSchedule(row.schedule, timeZone: "UTC"), row.after, 3) == row.times, "\(row.schedule)")
    }

    @Test(
        "in time zones, over the days on which clocks are set",
        arguments: [
            // 02:00 to 03:00 does not exist on 29 March 2026: a time in it comes at its end, once.
            (
                "30 2 * * *", "Europe/Vienna", "2026-03-28T00:00:00Z",
                "2026-03-28T01:30:00Z 2026-03-29T01:00:00Z 2026-03-30T00:30:00Z"
            ),
            ("0,30 2 * * *", "Europe/Vienna", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z 2026-03-30T00:00:00Z"),
            ("0 3 * * *", "Europe/Vienna", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z 2026-03-30T01:00:00Z"),
            // 02:00 to 03:00 comes twice on 25 October 2026: a time in it counts once.
            ("30 2 * * *", "Europe/Vienna", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z 2026-10-26T01:30:00Z"),
            ("30 2 * * *", "Europe/Vienna", "2026-10-25T00:45:00Z", "2026-10-26T01:30:00Z"),
            // One whose minute or hour begins with * follows the clock.
            ("30 * * * *", "Europe/Vienna", "2026-03-29T00:00:00Z", "2026-03-29T00:30:00Z 2026-03-29T01:30:00Z"),
            (
                "30 * * * *", "Europe/Vienna", "2026-10-24T23:45:00Z",
                "2026-10-25T00:30:00Z 2026-10-25T01:30:00Z 2026-10-25T02:30:00Z"
            ),
            (
                "*/20 2 * * *", "Europe/Vienna", "2026-10-25T00:30:00Z",
                "2026-10-25T00:40:00Z 2026-10-25T01:00:00Z 2026-10-25T01:20:00Z 2026-10-25T01:40:00Z 2026-10-26T01:00:00Z"
            ),
            ("*/20 2 * * *", "Europe/Vienna", "2026-03-28T12:00:00Z", "2026-03-30T00:00:00Z"),
            ("0 */2 * * *", "Europe/Vienna", "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z 2026-03-29T04:00:00Z"),
            ("0 3 * * *", "America/New_York", "2026-11-30T15:00:00Z", "2026-12-01T08:00:00Z"),
            ("0 3 * * *", "Asia/Kolkata", "2026-11-30T15:00:00Z", "2026-11-30T21:30:00Z"),
            // Clocks are set at midnight: 00:00 does not exist on 4 November 2018, 23:00 comes twice on 17 February.
            ("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z 2018-11-05T02:00:00Z"),
            ("30 23 * * *", "America/Sao_Paulo", "2018-02-17T12:00:00Z", "2018-02-18T01:30:00Z 2018-02-19T02:30:00Z"),
            (
                "0,30 * * * *", "America/Sao_Paulo", "2018-02-18T01:20:00Z",
                "2018-02-18T01:30:00Z 2018-02-18T02:00:00Z 2018-02-18T02:30:00Z 2018-02-18T03:00:00Z"
            ),
            // Half an hour.
            ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-03T15:30:00Z 2026-10-04T15:15:00Z"),
            // The day that Samoa left out.
            (
                "0 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z",
                "2011-12-29T22:00:00Z 2011-12-30T10:00:00Z 2011-12-30T22:00:00Z"
            ),
        ]
    )
    func zones(_ schedule: String, _ zone: String, _ after: String, _ times: String) throws {
        let expected = times.split(separator: " ").map(String.init)
        #expect(try next(CronSchedule(schedule, timeZone: zone), after, expected.count) == expected)
    }

    @Test("a time is after the moment, however little that is before it")
    func strictlyAfter() throws {
        let schedule = try CronSchedule("0 3 * * *", timeZone: "UTC")
        #expect(try next(schedule, "2026-11-30T02:59:59.999999999Z") == ["2026-11-30T03:00:00Z"])
        #expect(try next(schedule, "2026-11-30T03:00:00Z") == ["2026-12-01T03:00:00Z"])
        #expect(try next(schedule, "2026-11-30T03:00:00.000000001Z") == ["2026-12-01T03:00:00Z"])
        #expect(try next(schedule, "1969-12-31T02:00:00.5Z") == ["1969-12-31T03:00:00Z"])
    }

    @Test("what names stand for, and that a day that begins with * restricts, as in Vixie cron")
    func names() throws {
        let monday = "2026-11-30T15:00:00Z"
        for (one, other) in [
            ("@hourly", "0 * * * *"), ("@Daily", "0 0 * * *"), ("@weekly", "0 0 * * SUN"), ("@monthly", "0 0 1 * *"),
            ("@yearly", "0 0 1 JAN *"), ("0 0 * * sat-sun", "0 0 * * 0,6"), ("0 0 * * 7", "0 0 * * 0"),
            ("0  0\t* dec Mon", "0 0 * 12 1"), ("0 0 * * 5-7", "0 0 * * 0,5,6"), ("0 0 * * */1", "0 0 * * *"),
        ] {
            let schedules = try [CronSchedule(one, timeZone: "UTC"), CronSchedule(other, timeZone: "UTC")]
            #expect(try next(schedules[0], monday, 9) == next(schedules[1], monday, 9), "\(one)")
        }
        // Odd days that are Mondays: both have to fit.
        let odd = try CronSchedule("0 0 */2 * MON", timeZone: "UTC")
        #expect(try next(odd, monday, 3) == ["2026-12-07T00:00:00Z", "2026-12-21T00:00:00Z", "2027-01-11T00:00:00Z"])
        // One of them: the 13th, or a Friday.
        let either = try CronSchedule("0 0 13 * FRI", timeZone: "UTC")
        #expect(
            try next(either, monday, 3) == ["2026-12-04T00:00:00Z", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z"]
        )
        // 29 February on a Sunday comes again in 2032.
        let rare = try CronSchedule("0 0 29 2 */7", timeZone: "UTC")
        #expect(try next(rare, monday, 2) == ["2032-02-29T00:00:00Z", "2060-02-29T00:00:00Z"])
    }

    @Test(
        "mistakes, and what to write",
        arguments: [
            ("", "'' has 0 fields, not five"), ("0 3 * *", "has 4 fields, not five: minute, hour"),
            ("0 3 * * * *", "has 6 fields"), ("60 * * * *", "the minute must be from 0 to 59, not '60'"),
            ("* 24 * * *", "the hour must be from 0 to 23"), ("* * 0 * *", "the day of the month must be from 1 to 31"),
            ("* * * 13 *", "the month must be from 1 to 12, or a name such as FEB, not '13'"),
            ("* * * * 8", "the day of the week must be from 0 to 7, or a name such as MON, not '8'"),
            ("* * * * Monday", "not 'Monday'"), ("*/0 * * * *", "has no step after the '/'"),
            ("*/x * * * *", "has no step"), ("5/15 * * * *", "has a step but no range; write 5-59/…, or */…"),
            ("50-10 * * * *", "goes down; write it as a list of two ranges"), ("1,,2 * * * *", "not ''"),
            ("-1 * * * *", "the minute must be"), ("1- * * * *", "the minute must be"),
            ("99999999999999999999 * * * *", "the minute must be"), ("0 0 31 2 *", "never comes"),
            ("0 0 30 FEB *", "never comes"), ("0 0 31 4,6,9,11 *", "never comes"),
            ("@reboot", "is no name of a schedule"),
        ]
    )
    func mistakes(_ text: String, _ words: String) {
        let error = #expect(throws: CronSchedule.Mistake.self) { try CronSchedule(text) }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test("a time zone that does not exist")
    func zone() {
        let error = #expect(throws: CronSchedule.Mistake.self) { try CronSchedule("0 3 * * *", timeZone: "Mars/Base") }
        #expect(error?.description == "there is no time zone 'Mars/Base'; write it like Europe/Vienna")
    }

    @Test("a year of every minute costs no more than a moment each")
    func cost() throws {
        let schedule = try CronSchedule("* * * * *", timeZone: "Europe/Vienna")
        var time = try Timestamp(rfc3339: "2026-03-28T00:00:00Z")
        for _ in 0..<(3 * 1_440) {
            let next = try #require(schedule.next(after: time))
            #expect(next.duration(since: time) == .seconds(60))
            time = next
        }
    }
}
