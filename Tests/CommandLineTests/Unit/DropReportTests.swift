import Testing

@testable import mesh_events

@Suite struct DropReportTests {
    @Test func saysADropWhenItHappensAndNoMoreThanOnceASecond() {
        var said: [String] = []
        let begin = ContinuousClock.now
        var report = DropReport { said.append($0) }
        report.look(0, now: begin)
        #expect(said.isEmpty)
        report.look(1, now: begin)
        #expect(said == ["1 event was not shown: they arrive faster than they can be printed"])
        report.look(5, now: begin + .milliseconds(900))
        #expect(said.count == 1)
        report.look(7, now: begin + .seconds(1))
        #expect(said.last == "7 events were not shown so far: they arrive faster than they can be printed")
        report.finish(7)
        #expect(said.count == 2)
        report.finish(9)
        #expect(said.last?.hasPrefix("9 events were not shown so far") == true)
    }
}
