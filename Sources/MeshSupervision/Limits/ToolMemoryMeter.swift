import MeshConcurrency
import ProcessGuard

/// Measures the resident memory of tools that have a limit, descendants in other groups and sessions included. One pass over
/// the machine's processes serves all of them.
///
/// It reads less of each process than ``ToolUsageSampler``, and so may do it every second.
final class ToolMemoryMeter: Sendable {
    private struct Program {
        let key: Int
        var asked: ContinuousClock.Instant
    }

    private struct State {
        var source: any ProcessSource
        var attribution = ProcessAttribution()
        var programs: [ProcessFamily: Program] = [:]
        var lastKey = 0
        /// The resident bytes by key.
        var bytes: [Int: Int] = [:]
        var taken: ContinuousClock.Instant?
    }

    /// How old figures may be.
    private static let lifetime: Duration = .milliseconds(500)
    /// A program that nothing has asked about for this long has ended.
    private static let memory: Duration = .seconds(10)

    private let state: Locked<State>

    init() {
        #if canImport(Darwin)
            state = Locked(State(source: DarwinProcesses()))
        #else
            state = Locked(State(source: LinuxProcesses()))
        #endif
    }

    /// The resident bytes of a program's processes; `nil` when they are not known.
    func residentBytes(of family: ProcessFamily) -> Int? {
        let now = ContinuousClock.now
        return state.withLock { state in
            let known = state.programs[family]
            if known == nil { state.lastKey += 1 }
            let program = Program(key: known?.key ?? state.lastKey, asked: now)
            state.programs[family] = program
            let isFresh = known != nil && state.taken.map { now - $0 < Self.lifetime } ?? false
            if !isFresh {
                state.programs = state.programs.filter { now - $0.value.asked < Self.memory }
                state.bytes = Self.read(&state.source, &state.attribution, state.programs) ?? [:]
                state.taken = now
            }
            return state.bytes[program.key]
        }
    }

    /// Opens the source's type, so that it is asked for each process without a detour; `nil` when the processes cannot be read.
    private static func read<Source: ProcessSource>(
        _ source: inout Source,
        _ attribution: inout ProcessAttribution,
        _ programs: [ProcessFamily: Program]
    ) -> [Int: Int]? {
        guard let samples = source.processes() else { return nil }
        let programs = programs.map { ProcessAttribution.Program(key: $0.value.key, family: $0.key) }
        let owners = attribution.assign(samples, to: programs, own: source.own) { source.marks(of: $0) }
        var bytes: [Int: Int] = [:]
        for (sample, owner) in zip(samples, owners) {
            if let owner { bytes[owner, default: 0] += Int(clamping: sample.memory) }
        }
        return bytes
    }
}
