import MeshConcurrency
public import MeshEvents
import ProcessGuard

/// Reads what programs with all their descendants take of the machine: processor time, memory, files and storage.
///
/// ```swift
/// let sampler = ToolUsageSampler()
/// let usage = sampler.usage(of: ["database": .init(pid: pid)])
/// print(usage["database"]?.memoryMB ?? 0)
/// ```
///
/// A ``ToolSupervisor`` has one of its own, which fills ``ToolStatus/usage``. One pass over the machine's processes serves all
/// programs. On Linux it reads /proc, and finds descendants of a supervisor's tools in other groups and sessions too, also when
/// they have cleared their environment. On macOS it finds those whose parents it has seen.
public final class ToolUsageSampler: Sendable {
    /// A program whose processes are to be found.
    public struct Program: Sendable, Hashable {
        let family: ProcessFamily

        /// A running program.
        ///
        /// - Parameter pid: its process id.
        public init(pid: Int32) { family = ProcessFamily(pid: pid) }

        init(_ family: ProcessFamily) { self.family = family }
    }

    /// The result of a sample.
    struct Result: Sendable {
        var usage: [String: ProcessUsage] = [:]
        /// The program of each process, for what others say by process id.
        var names: [Int32: String] = [:]
    }

    private struct State: Sendable {
        var result = Result()
        var programs: [String: Program] = [:]
        var taken: ContinuousClock.Instant?
        var isSampling = false
    }

    private let maximumAge: Duration
    private let state = Locked(State())
    private let pass: Locked<UsagePass>

    /// Creates a sampler.
    ///
    /// - Parameter maximumAge: how old figures may be; the processes are not read again earlier. 1 s by default.
    public convenience init(maximumAge: Duration = .seconds(1)) {
        #if canImport(Darwin)
            self.init(maximumAge: maximumAge, source: DarwinProcesses())
        #else
            self.init(maximumAge: maximumAge, source: LinuxProcesses())
        #endif
    }

    init(maximumAge: Duration, source: any ProcessSource) {
        self.maximumAge = maximumAge
        pass = Locked(UsagePass(source: source))
    }

    /// What programs take, by name. It reads the processes when the last figures are too old; when another caller is doing
    /// that, it returns the last ones.
    ///
    /// - Parameter programs: all programs that run, by name. What is remembered of others is dropped.
    /// - Returns: the figures of those of which there are some.
    public func usage(of programs: [String: Program]) -> [String: ProcessUsage] { sample(programs).usage }

    func sample(_ programs: [String: Program]) -> Result {
        let now = ContinuousClock.now
        let isDue = state.withLock { state in
            guard !programs.isEmpty else {
                // Nothing is read while nothing runs.
                (state.result, state.programs) = (Result(), [:])
                return false
            }
            let isFresh = state.taken.map { now - $0 < maximumAge } ?? false
            guard !state.isSampling, !isFresh else { return false }
            state.isSampling = true
            return true
        }
        if isDue {
            let result = pass.withLock { $0.run(programs) }
            state.withLock { state in
                (state.result, state.programs, state.taken, state.isSampling) = (result, programs, now, false)
            }
        }
        return state.withLock { state in
            guard state.programs != programs else { return state.result }
            // Figures of another run of the same name are none of this one.
            let known = programs.filter { state.programs[$0.key] == $0.value }
            return Result(
                usage: state.result.usage.filter { known[$0.key] != nil },
                names: state.result.names.filter { known[$0.value] != nil }
            )
        }
    }
}

/// One pass over all processes after the other.
struct UsagePass: Sendable {
    private var source: any ProcessSource
    private var attribution = ProcessAttribution()
    private var ledgers: [Int: UsageLedger] = [:]
    private var keys: [ToolUsageSampler.Program: Int] = [:]
    private var lastKey = 0
    private var last = ToolUsageSampler.Result()

    init(source: any ProcessSource) { self.source = source }

    mutating func run(_ programs: [String: ToolUsageSampler.Program]) -> ToolUsageSampler.Result {
        var (before, names): ([ToolUsageSampler.Program: Int], [Int: String]) = (keys, [:])
        keys = [:]
        for (name, program) in programs {
            let key = before[program] ?? newKey()
            before[program] = key
            keys[program] = key
            names[key] = name
        }
        ledgers = ledgers.filter { names[$0.key] != nil }
        if let result = Self.read(&source, keys, names, &attribution, &ledgers) { last = result }
        return last
    }

    private mutating func newKey() -> Int {
        lastKey += 1
        return lastKey
    }

    /// Opens the source's type, so that it is asked for each process without a detour; `nil` when the processes cannot be read.
    private static func read<Source: ProcessSource>(
        _ source: inout Source,
        _ keys: [ToolUsageSampler.Program: Int],
        _ names: [Int: String],
        _ attribution: inout ProcessAttribution,
        _ ledgers: inout [Int: UsageLedger]
    ) -> ToolUsageSampler.Result? {
        let now = source.now
        guard let samples = source.processes() else { return nil }
        let programs = keys.map { ProcessAttribution.Program(key: $0.value, family: $0.key.family) }
        let owners = attribution.assign(samples, to: programs, own: source.own) { source.marks(of: $0) }
        var entries: [Int: [UsageLedger.Entry]] = [:]
        var result = ToolUsageSampler.Result()
        for (sample, owner) in zip(samples, owners) {
            guard let owner else { continue }
            var entry = UsageLedger.Entry(sample: sample)
            entry.io = source.io(of: sample.pid)
            entry.files = source.files(of: sample.pid)
            entries[owner, default: []].append(entry)
            result.names[sample.pid] = names[owner]
        }
        for (key, name) in names {
            var ledger = ledgers[key] ?? UsageLedger()
            ledger.record(
                entries[key] ?? [],
                at: now,
                ticksPerSecond: source.ticksPerSecond,
                passesIOOn: source.passesIOOn
            )
            ledgers[key] = ledger
            if !ledger.isEmpty { result.usage[name] = ledger.usage }
        }
        return result
    }
}
