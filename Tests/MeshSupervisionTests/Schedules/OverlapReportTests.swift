import MeshEvents
import Testing

@testable import MeshSupervision

@Suite("What is said of a run that goes on when the next is due")
struct OverlapReportTests {
    private func time(_ second: Int) -> Timestamp { Timestamp.epoch.adding(.seconds(second)) }

    @Test("a run that hangs for a day and is due each second takes some 150 events, which count all")
    func day() {
        var report = OverlapReport()
        var said: [OverlapReport.Times] = []
        for second in 0..<86_400 {
            if let times = report.add(time(second)) { said.append(times) }
        }
        #expect(said.prefix(3).map(\.count) == [1, 60, 120])
        #expect(said.prefix(3).map(\.first) == [time(0), time(1), time(61)])
        #expect(said.count < 160 && said.suffix(100).allSatisfy { $0.count == 600 })
        let rest = report.end()
        #expect(said.reduce(rest?.count ?? 0) { $0 + $1.count } == 86_400)
        // The next run begins anew.
        #expect(report.end() == nil && report == OverlapReport())
    }

    @Test("what is due seldom is said each time")
    func seldom() {
        var report = OverlapReport()
        for hour in 0..<48 { #expect(report.add(time(hour * 3_600)) == .init(first: time(hour * 3_600))) }
        #expect(report.end() == nil)
    }
}
