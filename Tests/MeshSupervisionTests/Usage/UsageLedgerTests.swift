import MeshEvents
import Testing

@testable import MeshSupervision

/// The sums over a program's processes, at 100 ticks a second.
@Suite("What a program's processes use together")
struct UsageLedgerTests {
    private func entry(
        _ pid: Int32,
        parent: Int32 = 1,
        start: UInt64 = 1_000,
        ticks: UInt64 = 0,
        children: UInt64 = 0,
        faults: UInt64 = 10,
        childFaults: UInt64 = 0,
        io: Readable<ProcessIO> = .value(ProcessIO()),
        files: Readable<Int> = .value(3),
        isZombie: Bool = false
    ) -> UsageLedger.Entry {
        let sample = ProcessSample(
            pid: pid,
            parent: parent,
            group: 1,
            session: 1,
            start: start,
            isZombie: isZombie,
            ticks: ticks,
            childTicks: children,
            faults: faults + childFaults,
            childFaults: childFaults,
            threads: 2,
            memory: 1 << 20
        )
        return UsageLedger.Entry(sample: sample, io: io, files: files)
    }

    private func bytes(_ read: UInt64, _ written: UInt64 = 0) -> Readable<ProcessIO> {
        .value(ProcessIO(read: read << 20, written: written << 20))
    }

    private func record(_ ledger: inout UsageLedger, _ entries: [UsageLedger.Entry], at now: UInt64) -> ProcessUsage {
        ledger.record(entries, at: now, ticksPerSecond: 100, passesIOOn: true)
        return ledger.usage
    }

    @Test("the first sample says what was used since the start, later ones what was used since the one before")
    func share() {
        var ledger = UsageLedger()
        let first = record(&ledger, [entry(5, ticks: 50), entry(6, start: 1_100, ticks: 25, children: 25)], at: 1_200)
        #expect(
            first == ProcessUsage(cpu: 0.5, memoryMB: 2, processes: 2, threads: 4, files: 6, readMB: 0, writtenMB: 0)
        )
        #expect(
            record(&ledger, [entry(5, ticks: 250), entry(6, start: 1_100, ticks: 25, children: 25)], at: 1_300).cpu == 2
        )
        #expect(record(&ledger, [entry(5, ticks: 250)], at: 1_400).cpu == 0)
        // Too little time for a share; figures of a moment are there.
        let soon = record(&ledger, [entry(5, ticks: 251)], at: 1_405)
        #expect(soon.cpu == nil && soon.processes == 1)
        #expect(record(&ledger, [], at: 1_500) == ProcessUsage() && ledger.isEmpty)
    }

    @Test("what started and ended between two samples counts once, with the parent that waited for it")
    func ended() {
        var ledger = UsageLedger()
        _ = record(&ledger, [entry(5), entry(6, parent: 5, ticks: 40)], at: 2_000)
        // Process 6 used 40 ticks before and 10 after; another one, never seen, used 30.
        var usage = record(&ledger, [entry(5, children: 80, childFaults: 40)], at: 2_100)
        #expect(usage.cpu == 0.4)
        // A grandchild whose parent ended too: both went to process 5.
        let family = [
            entry(5, children: 80, childFaults: 40), entry(7, parent: 5, start: 2_000, ticks: 5),
            entry(8, parent: 7, ticks: 20),
        ]
        _ = record(&ledger, family, at: 2_200)
        usage = record(&ledger, [entry(5, children: 135, childFaults: 90)], at: 2_300)
        #expect(usage.cpu == 0.3)
    }

    @Test("what ended without a parent that waited for it takes nothing away from the others")
    func unawaited() {
        var ledger = UsageLedger()
        _ = record(&ledger, [entry(5), entry(6, parent: 5, ticks: 90, io: bytes(50))], at: 2_000)
        let usage = record(&ledger, [entry(5, ticks: 30, io: bytes(7))], at: 2_100)
        #expect(usage.cpu == 0.3 && usage.readMB == 57)
        // An orphan, and a number that is used again.
        _ = record(&ledger, [entry(5, ticks: 30, io: bytes(7)), entry(9, ticks: 500)], at: 2_200)
        #expect(
            record(&ledger, [entry(5, ticks: 40, io: bytes(7)), entry(9, start: 2_250, ticks: 10)], at: 2_300).cpu
                == 0.2
        )
    }

    @Test("an older process that is found late brings only what it uses from then on")
    func late() {
        var ledger = UsageLedger()
        _ = record(&ledger, [entry(5)], at: 2_000)
        #expect(record(&ledger, [entry(5), entry(6, start: 1_500, ticks: 900)], at: 2_100).cpu == 0)
        #expect(record(&ledger, [entry(5), entry(6, start: 1_500, ticks: 950)], at: 2_200).cpu == 0.5)
    }

    @Test("what was read and written counts once, also when it passes to the parent, and never goes back")
    func storage() {
        var ledger = UsageLedger()
        #expect(
            record(&ledger, [entry(5, io: bytes(10, 1)), entry(6, parent: 5, io: bytes(20, 2))], at: 2_000).readMB == 30
        )
        // Process 6 read 5 more before it ended, and its parent 1.
        var usage = record(&ledger, [entry(5, childFaults: 12, io: bytes(36, 3))], at: 2_100)
        #expect(usage.readMB == 36 && usage.writtenMB == 3)
        usage = record(&ledger, [entry(7, io: bytes(1))], at: 2_200)
        #expect(usage.readMB == 37)
    }

    @Test("a figure that the system keeps to itself is left out, not 0; a process that ended meanwhile does not matter")
    func refused() {
        var ledger = UsageLedger()
        var usage = record(&ledger, [entry(5), entry(6, io: .refused, files: .refused)], at: 2_000)
        #expect(usage.readMB == nil && usage.writtenMB == nil && usage.files == nil)
        #expect(usage.processes == 2 && usage.memoryMB == 2 && usage.cpu == 0)
        usage = record(&ledger, [entry(5), entry(6, io: .gone, files: .gone)], at: 2_100)
        #expect(usage.readMB == 0 && usage.files == 3)
        usage = record(&ledger, [entry(5), entry(7, io: .refused, files: .refused, isZombie: true)], at: 2_200)
        #expect(usage.readMB == 0 && usage.files == 3 && usage.processes == 2)
    }

    @Test("a figure that could not be read for once is not counted twice")
    func onceRefused() {
        var ledger = UsageLedger()
        #expect(record(&ledger, [entry(5, io: bytes(10)), entry(6, parent: 5, io: bytes(4))], at: 2_000).readMB == 14)
        #expect(record(&ledger, [entry(5, io: .refused), entry(6, parent: 5, io: .refused)], at: 2_100).readMB == nil)
        #expect(record(&ledger, [entry(5, io: bytes(12)), entry(6, parent: 5, io: .gone)], at: 2_200).readMB == 16)
        // It ends, and passes on what it has read.
        #expect(record(&ledger, [entry(5, childFaults: 10, io: bytes(17))], at: 2_300).readMB == 17)
    }

    @Test("counters that go back or are absurd do no harm")
    func absurd() {
        var ledger = UsageLedger()
        _ = record(&ledger, [entry(5, ticks: .max, io: .value(ProcessIO(read: .max, written: .max)))], at: 2_000)
        let usage = record(&ledger, [entry(5, ticks: 3, io: bytes(1))], at: 1_900)
        #expect(usage.cpu == nil && usage.processes == 1)
        #expect(record(&ledger, [entry(5, ticks: 3, io: bytes(1))], at: 2_100).cpu == 0)
    }
}
