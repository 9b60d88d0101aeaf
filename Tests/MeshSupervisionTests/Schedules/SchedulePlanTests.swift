import MeshEvents
import TestSupport
import Testing

@testable import MeshSupervision

@Suite("What is planned, and what was missed")
struct SchedulePlanTests {
    private func time(_ text: String) throws -> Timestamp { try Timestamp(rfc3339: "2026-11-30T\(text)Z") }

    private func nightly(_ missed: ToolSchedule.Missed = .skip) throws -> ToolSchedule {
        try .cron("0 3 * * *", timeZone: "UTC", missed: missed)
    }

    @Test("a new schedule has missed nothing")
    func new() throws {
        let now = try time("15:00:00")
        let (daily, beginning) = SchedulePlan.begin(try nightly(.run), last: nil, now: now)
        #expect(beginning == .wait && daily.next?.description == "2026-12-01T03:00:00Z")
        let (hourly, other) = SchedulePlan.begin(.every(.seconds(3_600)), last: nil, now: now)
        #expect(try other == .wait && hourly.next == time("16:00:00"))
    }

    @Test("what was missed is skipped, or run once, and an interval that is over is run at once")
    func missed() throws {
        let (last, now) = (try Timestamp(rfc3339: "2026-11-26T03:00:00Z"), try time("15:00:00"))
        let missed = try Timestamp(rfc3339: "2026-11-27T03:00:00Z")
        var (plan, beginning) = SchedulePlan.begin(try nightly(), last: last, now: now)
        #expect(beginning == .missed(missed) && plan.next?.description == "2026-12-01T03:00:00Z")
        (plan, beginning) = SchedulePlan.begin(try nightly(.run), last: last, now: now)
        #expect(beginning == .start)
        plan.advance(now: now)
        #expect(plan.next?.description == "2026-12-01T03:00:00Z")
        (plan, beginning) = SchedulePlan.begin(.every(.seconds(3_600)), last: try time("13:30:00"), now: now)
        #expect(beginning == .start)
        plan.advance(now: now)
        // An hour lies between two starts.
        #expect(try plan.next == time("15:30:00"))
        (plan, beginning) = SchedulePlan.begin(.every(.seconds(3_600)), last: last, now: now)
        plan.advance(now: now)
        #expect(try beginning == .start && plan.next == time("16:00:00"))
        (plan, beginning) = SchedulePlan.begin(.every(.seconds(3_600)), last: try time("14:30:00"), now: now)
        #expect(try beginning == .wait && plan.next == time("15:30:00"))
    }

    @Test("nothing was missed between the last time and now")
    func nothing() throws {
        let (plan, beginning) = SchedulePlan.begin(
            try nightly(.run),
            last: try time("03:00:00"),
            now: try time("15:00:00")
        )
        #expect(beginning == .wait && plan.next?.description == "2026-12-01T03:00:00Z")
    }

    @Test("a clock that is set back brings no time twice, one that is set forward one run")
    func clocks() throws {
        var (plan, _) = SchedulePlan.begin(try nightly(), last: nil, now: try time("02:59:00"))
        plan.advance(now: try time("02:59:58"))
        #expect(plan.next?.description == "2026-12-01T03:00:00Z")
        plan.advance(now: try Timestamp(rfc3339: "2027-01-05T12:00:00Z"))
        #expect(plan.next?.description == "2027-01-06T03:00:00Z")
        // A record from the future says nothing.
        let (later, beginning) = SchedulePlan.begin(try nightly(), last: plan.next, now: try time("15:00:00"))
        #expect(beginning == .wait && later.next?.description == "2026-12-01T03:00:00Z")
    }

    @Test("the record outlives its process, holds 1000 tools, and is nothing when it cannot be read")
    func record() throws {
        let directory = try TemporaryDirectory()
        let file = directory.path + "/below/schedules.json"
        let record = ToolScheduleRecord(file: file)
        record.note("a", try time("03:00:00"))
        record.note("gone", try time("03:00:00"))
        record.note("gone", nil)
        #expect(record.writeProblem == nil)
        #expect(try directory.text(of: "below/schedules.json") == #"{"tools":{"a":"2026-11-30T03:00:00Z"}}"#)
        let other = ToolScheduleRecord(file: file)
        #expect(try other.last("a") == time("03:00:00") && other.last("gone") == nil)
        let many = ToolScheduleRecord()
        for number in 0..<1_001 { many.note("t\(number)", Timestamp.epoch.adding(.seconds(number))) }
        #expect(many.last("t0") == nil && many.last("t1") != nil && many.last("t1000") != nil)
        for text in ["", "[]", "{\"tools\":5}", "{\"tools\":{\"a\":5,\"b\":\"soon\"}}"] {
            let broken = ToolScheduleRecord(file: try directory.file("broken.json", text))
            #expect(broken.last("a") == nil && broken.last("b") == nil)
        }
        let blocked = ToolScheduleRecord(file: try directory.file("plain", "") + "/schedules.json")
        blocked.note("a", .epoch)
        #expect(blocked.last("a") == .epoch && blocked.writeProblem?.contains("cannot be written") == true)
    }
}
