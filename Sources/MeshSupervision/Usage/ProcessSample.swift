/// A process at one moment, as the system tells it.
struct ProcessSample: Sendable, Equatable {
    let pid: Int32
    let parent: Int32
    let group: Int32
    let session: Int32
    /// When it started, in ticks since the machine's start. With the number it is this process and no later one.
    let start: UInt64
    /// Whether it has ended and waits for its parent.
    var isZombie = false
    /// Whether its first thread has ended while others go on. What belongs to the first thread says nothing of it then: its
    /// memory, its files and its environment are those of another thread.
    var hasDeadLeader = false
    /// Its processor time, in ticks.
    var ticks: UInt64 = 0
    /// That of its children for whose end it has waited, with theirs.
    var childTicks: UInt64 = 0
    /// Its page faults and those of its children for whose end it has waited. Each process has some.
    var faults: UInt64 = 0
    /// The part of ``faults`` that is its children's.
    var childFaults: UInt64 = 0
    var threads = 0
    /// Resident memory, in bytes.
    var memory: UInt64 = 0

    /// What tells this process from others, earlier and later ones included.
    var identity: ProcessIdentity { ProcessIdentity(pid: pid, start: start) }
}

/// A process's number and start: numbers are used again.
struct ProcessIdentity: Sendable, Hashable {
    let pid: Int32
    let start: UInt64
}

/// What a process has read from storage and written to it, in bytes.
struct ProcessIO: Sendable, Equatable {
    var read: UInt64 = 0
    var written: UInt64 = 0
}

/// A figure of a process that the system may keep to itself.
enum Readable<Value: Sendable>: Sendable {
    case value(Value)
    /// The process has ended meanwhile.
    case gone
    /// It belongs to another user, or the system has no such figure.
    case refused
}

extension Readable: Equatable where Value: Equatable {}

/// What reads processes from the system.
protocol ProcessSource: Sendable {
    /// Ticks in a second.
    var ticksPerSecond: Double { get }
    /// Whether a process that waits for the end of a child gets what the child has read and written added to its own.
    var passesIOOn: Bool { get }
    /// The time since the machine's start, in ticks.
    var now: UInt64 { get }
    /// This process's number and session.
    var own: (pid: Int32, session: Int32, group: Int32) { get }

    /// All processes that can be seen; `nil` when they cannot be read, because this process has too many files open, say.
    mutating func processes() -> [ProcessSample]?
    /// What a process has read and written.
    mutating func io(of pid: Int32) -> Readable<ProcessIO>
    /// How many files a process has open.
    mutating func files(of pid: Int32) -> Readable<Int>
    /// The marks that a process has inherited: names of variables and limits.
    mutating func marks(of pid: Int32) -> InheritedMarks
}

/// The marks that a process has inherited from a program of a supervisor.
struct InheritedMarks: Sendable, Equatable {
    var variables: [String] = []
    /// A limit that any user can take from another process.
    var limit: UInt64?
    /// The user that the process runs as; it is known when the limit may be a mark.
    var user: UInt32?
}
