import ProcessGuard

/// Finds out which program each process belongs to, from one list of all processes to the next: a pure value.
///
/// A process belongs to a program when one of these holds:
/// - it is the program, or in its process group;
/// - it did so when it was last seen, even when it has left the group and its parent has ended;
/// - its parent does, or another process of its group or session does;
/// - it has inherited the program's mark. That finds a process whose parents ended between two lists. Any user can copy the
///   limit of a process, so that the limit counts for processes of the program's user only.
struct ProcessAttribution: Sendable {
    /// The most processes whose marks are read for one list; the others' turn comes with the next one.
    static let maximumLooks = 1_000

    /// The programs' processes in the last list: the program's key by process.
    private var known: [ProcessIdentity: Int] = [:]
    /// Process groups and sessions that the programs' processes have made, with the program's key.
    private var groups: [Int32: Int] = [:]
    private var sessions: [Int32: Int] = [:]
    /// When the program of each key started.
    private var starts: [Int: UInt64] = [:]
    /// Processes whose marks were read in vain.
    private var foreign: Set<ProcessIdentity> = []

    /// A program, by a key that no other has.
    struct Program: Sendable {
        let key: Int
        let family: ProcessFamily
    }

    /// Finds the programs of processes.
    ///
    /// - Parameters:
    ///   - samples: all processes.
    ///   - programs: the programs that run.
    ///   - own: this process's number, session and group, which are no program's.
    ///   - marks: reads the marks of a process.
    /// - Returns: the key of the program of each process, in the order of `samples`; `nil` for other processes.
    mutating func assign(
        _ samples: [ProcessSample],
        to programs: [Program],
        own: (pid: Int32, session: Int32, group: Int32),
        marks: (Int32) -> InheritedMarks
    ) -> [Int?] {
        var pass = Pass(samples, programs, own: own, self)
        for index in samples.indices { _ = pass.resolve(index) }
        var looks = 0
        var foreign: Set<ProcessIdentity> = []
        if pass.hasMarks {
            for index in samples.indices where pass.results[index] == nil && pass.canBeDescendant(index) {
                let sample = samples[index]
                guard !self.foreign.contains(sample.identity) else {
                    foreign.insert(sample.identity)
                    continue
                }
                guard looks < Self.maximumLooks else { continue }
                looks += 1
                guard let key = pass.key(of: marks(sample.pid)) else {
                    foreign.insert(sample.identity)
                    continue
                }
                pass.assign(index, to: key)
            }
            // Children of those that were found by their marks.
            if pass.hasFound {
                pass.begin()
                for index in samples.indices {
                    if pass.resolve(index) != nil { foreign.remove(samples[index].identity) }
                }
            }
        }
        self.foreign = foreign
        (known, groups, sessions, starts) = (pass.known, pass.groups, pass.sessions, pass.starts)
        return pass.results
    }

    /// The work on one list.
    private struct Pass {
        enum State { case open, visited }

        let samples: [ProcessSample]
        let own: (pid: Int32, session: Int32, group: Int32)
        let before: ProcessAttribution
        private var places: [Int32: Int] = [:]
        private var state: [State]
        private(set) var results: [Int?]
        private(set) var known: [ProcessIdentity: Int] = [:]
        private(set) var groups: [Int32: Int] = [:]
        private(set) var sessions: [Int32: Int] = [:]
        private(set) var starts: [Int: UInt64] = [:]
        private(set) var hasFound = false
        private let guards: Set<Int32>
        private let programs: [Int32: Program]
        private let guardedGroups: [Int32: Int]
        private let keys: Set<Int>
        private let variables: [String: Int]
        private let limits: [UInt64: (key: Int, user: UInt32)]
        /// The start of the oldest program.
        private var oldest: UInt64 = 0

        init(
            _ samples: [ProcessSample],
            _ programs: [Program],
            own: (pid: Int32, session: Int32, group: Int32),
            _ before: ProcessAttribution
        ) {
            self.samples = samples
            self.own = own
            self.before = before
            state = Array(repeating: .open, count: samples.count)
            results = Array(repeating: nil, count: samples.count)
            keys = Set(programs.map(\.key))
            guards = Set(programs.compactMap(\.family.group))
            self.programs = Dictionary(programs.map { ($0.family.pid, $0) }) { first, _ in first }
            guardedGroups = Dictionary(
                programs.compactMap { program in program.family.group.map { ($0, program.key) } }
            ) { first, _ in first }
            let marks = programs.compactMap { program in program.family.mark.map { ($0, program.key) } }
            variables = Dictionary(marks.map { ($0.0.variable, $0.1) }) { first, _ in first }
            limits = Dictionary(marks.map { ($0.0.limit, (key: $0.1, user: $0.0.user)) }) { first, _ in first }
            places.reserveCapacity(samples.count)
            for (index, sample) in samples.enumerated() { places[sample.pid] = index }
            oldest = programs.compactMap { place($0.family.group ?? $0.family.pid)?.start }.min() ?? 0
            starts = before.starts.filter { keys.contains($0.key) }
        }

        private func place(_ pid: Int32) -> ProcessSample? { places[pid].map { samples[$0] } }

        var hasMarks: Bool { !variables.isEmpty }

        /// Whether it started after the oldest program, so that it can be a descendant.
        func canBeDescendant(_ index: Int) -> Bool {
            samples[index].start >= oldest && !guards.contains(samples[index].pid) && samples[index].pid != own.pid
        }

        func key(of marks: InheritedMarks) -> Int? {
            if let limit = marks.limit, let owner = limits[limit], owner.user == marks.user { return owner.key }
            for variable in marks.variables { if let key = variables[variable] { return key } }
            return nil
        }

        mutating func assign(_ index: Int, to key: Int) {
            hasFound = true
            note(index, key)
        }

        /// Looks at those again that belong to no program.
        mutating func begin() {
            for index in state.indices where results[index] == nil { state[index] = .open }
        }

        private mutating func note(_ index: Int, _ key: Int) {
            let sample = samples[index]
            results[index] = key
            known[sample.identity] = key
            // A descendant of a program is in this process's group and session, or in one that another descendant made.
            if sample.session != own.session, isMade(sample.session, by: key) { sessions[sample.session] = key }
            if sample.group != own.group, guardedGroups[sample.group] == nil, isMade(sample.group, by: key) {
                groups[sample.group] = key
            }
        }

        /// Whether the leader of the group or session is the program's too, or has ended.
        private func isMade(_ number: Int32, by key: Int) -> Bool {
            number > 1 && (places[number].map { results[$0] == key } ?? true)
        }

        /// The program of a process, after that of its parents.
        mutating func resolve(_ index: Int) -> Int? {
            // The parents, from the process upwards, as far as they are not looked at.
            var chain: [Int] = []
            var next: Int? = index
            while let current = next, state[current] == .open {
                state[current] = .visited
                chain.append(current)
                let (sample, parent) = (samples[current], places[samples[current].parent])
                // A parent that is younger than its child only has the number of the real one.
                next = parent.flatMap { samples[$0].start <= sample.start ? $0 : nil }
            }
            var inherited = next.flatMap { results[$0] }
            for current in chain.reversed() {
                let key = own(current) ?? inherited
                if let key, results[current] == nil { note(current, key) }
                inherited = isBarrier(current) ? nil : results[current]
            }
            return results[index]
        }

        /// Whether its children are not what it is: this process, and the guards.
        private func isBarrier(_ index: Int) -> Bool {
            samples[index].pid == own.pid || guards.contains(samples[index].pid)
        }

        /// The program of a process by what is known of itself.
        private mutating func own(_ index: Int) -> Int? {
            let sample = samples[index]
            guard sample.pid != own.pid, !guards.contains(sample.pid), !guards.contains(sample.parent) else {
                return nil
            }
            if let program = programs[sample.pid], isProgram(sample, program) { return program.key }
            if let key = guardedGroups[sample.group] { return key }
            if let key = before.known[sample.identity], keys.contains(key) { return key }
            if let key = remembered(before.groups, sample.group) ?? groups[sample.group] { return key }
            return remembered(before.sessions, sample.session) ?? sessions[sample.session]
        }

        /// Whether this is the program itself: another process may have got its number.
        private mutating func isProgram(_ sample: ProcessSample, _ program: Program) -> Bool {
            if program.family.group != nil { return sample.parent == own.pid }
            if let start = starts[program.key] { return start == sample.start }
            starts[program.key] = sample.start
            return true
        }

        /// The program that had the group or session. When a process that was not the program's leads it now, the number has
        /// been used again.
        private func remembered(_ numbers: [Int32: Int], _ number: Int32) -> Int? {
            guard let key = numbers[number], keys.contains(key) else { return nil }
            guard let leader = place(number) else { return key }
            return before.known[leader.identity] == key ? key : nil
        }
    }
}
