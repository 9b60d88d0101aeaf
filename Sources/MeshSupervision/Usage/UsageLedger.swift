import MeshEvents

/// Adds up what the processes of one program use, from one sample to the next: a pure value.
///
/// Processor time counts in full, also that of processes that started and ended between two samples: the kernel adds it to that
/// of the parent that waited for them. What such a process had used before the sample counted then already.
struct UsageLedger: Sendable {
    /// A process of the program with the figures that are read apart.
    struct Entry: Sendable {
        var sample: ProcessSample
        var io: Readable<ProcessIO> = .refused
        var files: Readable<Int> = .refused
        /// What of ``io`` is added up already.
        fileprivate(set) var counted: ProcessIO?

        init(sample: ProcessSample, io: Readable<ProcessIO> = .refused, files: Readable<Int> = .refused) {
            self.sample = sample
            self.io = io
            self.files = files
        }
    }

    /// What ended since the sample before, by the process that waited for it.
    private struct Ended {
        var ticks: UInt64 = 0
        var faults: UInt64 = 0
        var io = ProcessIO()
    }

    private var entries: [Int32: Entry] = [:]
    /// The time of the last sample, in ticks; `nil` before the first.
    private var last: UInt64?
    private var io = ProcessIO()
    /// What the processes used at the last sample.
    private(set) var usage = ProcessUsage()

    /// Whether nothing of the program is left.
    var isEmpty: Bool { entries.isEmpty }

    /// Takes in a sample.
    ///
    /// - Parameters:
    ///   - new: the program's processes.
    ///   - now: the time when they began to be read, in ticks since the machine's start.
    ///   - ticksPerSecond: ticks in a second.
    ///   - passesIOOn: whether a process gets what its ended children have read and written added to its own.
    mutating func record(_ new: [Entry], at now: UInt64, ticksPerSecond: Double, passesIOOn: Bool) {
        var current: [Int32: Entry] = [:]
        current.reserveCapacity(new.count)
        for entry in new { current[entry.sample.pid] = entry }
        let ended = ended(without: current)
        var ticks: UInt64 = 0
        for entry in new {
            let (sample, before) = (entry.sample, entries[entry.sample.pid])
            guard let before, before.sample.start == sample.start else {
                // One that is older was not known before: when it used its time is not known.
                if last.map({ sample.start >= $0 }) ?? true { ticks &+= sample.ticks &+ sample.childTicks }
                count(entry, &current)
                continue
            }
            let gone = ended[sample.pid] ?? Ended()
            let children = Self.difference(sample.childTicks, before.sample.childTicks)
            ticks &+= Self.difference(sample.ticks, before.sample.ticks) &+ Self.difference(children, gone.ticks)
            let faults = Self.difference(sample.childFaults, before.sample.childFaults)
            let isPassedOn = passesIOOn && gone.faults > 0 && faults >= gone.faults
            count(entry, &current, from: before.counted, passed: isPassedOn ? gone.io : ProcessIO())
        }
        usage = ProcessUsage()
        usage.cpu = share(ticks, new, at: now, ticksPerSecond)
        (entries, last) = (current, now)
        guard !new.isEmpty else { return }
        usage.processes = new.count
        usage.threads = new.reduce(0) { $0 + $1.sample.threads }
        usage.memoryMB = Self.megabytes(new.reduce(0) { $0 &+ $1.sample.memory })
        usage.files = Self.sum(new) { $0.files }.map { $0.reduce(0, +) }
        if Self.sum(new, { $0.io }) != nil {
            usage.readMB = Self.megabytes(io.read)
            usage.writtenMB = Self.megabytes(io.written)
        }
    }

    /// Adds up what a process has read and written since it was last counted, without what its ended children passed on.
    private mutating func count(
        _ entry: Entry,
        _ current: inout [Int32: Entry],
        from earlier: ProcessIO? = nil,
        passed: ProcessIO = ProcessIO()
    ) {
        guard case .value(let now) = entry.io else {
            current[entry.sample.pid]?.counted = earlier
            return
        }
        current[entry.sample.pid]?.counted = now
        io.read &+= Self.difference(Self.difference(now.read, earlier?.read ?? 0), passed.read)
        io.written &+= Self.difference(Self.difference(now.written, earlier?.written ?? 0), passed.written)
    }

    /// The processor time in parts of one processor; `nil` when too little time has passed.
    private func share(_ ticks: UInt64, _ new: [Entry], at now: UInt64, _ ticksPerSecond: Double) -> Double? {
        guard let oldest = new.map(\.sample.start).min() else { return nil }
        let passed = Double(Self.difference(now, max(last ?? 0, oldest)))
        guard passed >= ticksPerSecond / 10 else { return nil }
        return Double(ticks) / passed
    }

    /// What ended since the last sample, added up by the nearest ancestor that is still there: it may have waited for it, or
    /// for the one in between that had.
    private func ended(without current: [Int32: Entry]) -> [Int32: Ended] {
        var ended: [Int32: Ended] = [:]
        func isThere(_ entry: Entry) -> Bool { current[entry.sample.pid]?.sample.start == entry.sample.start }
        for entry in entries.values where !isThere(entry) {
            var parent = entries[entry.sample.parent]
            // Each of them is looked at once at most, even when numbers were used again.
            var steps = entries.count
            while let one = parent, !isThere(one), steps > 0 {
                parent = entries[one.sample.parent]
                steps -= 1
            }
            guard let parent, isThere(parent) else { continue }
            var sum = ended[parent.sample.pid] ?? Ended()
            sum.ticks &+= entry.sample.ticks &+ entry.sample.childTicks
            sum.faults &+= entry.sample.faults
            if let io = entry.counted {
                sum.io.read &+= io.read
                sum.io.written &+= io.written
            }
            ended[parent.sample.pid] = sum
        }
        return ended
    }

    private static func difference(_ one: UInt64, _ other: UInt64) -> UInt64 { one > other ? one - other : 0 }

    private static func megabytes(_ bytes: UInt64) -> Double { Double(bytes) / 1_048_576 }

    /// A figure of all processes; `nil` when the system keeps it to itself for one. Those that have ended do not count.
    private static func sum<Value>(_ entries: [Entry], _ figure: (Entry) -> Readable<Value>) -> [Value]? {
        var values: [Value] = []
        for entry in entries {
            switch figure(entry) {
            case .value(let value): values.append(value)
            case .gone: break
            case .refused: if !entry.sample.isZombie { return nil }
            }
        }
        return values
    }
}
