import ProcessGuard

/// The texts about one process; see proc_pid_stat(5), proc_pid_io(5), proc_pid_environ(5) and proc_pid_limits(5). They are
/// read as bytes: there are many of them.
extension ProcFile {
    /// A process in the text of /proc/PID/stat.
    ///
    /// Its name may hold anything, parentheses, spaces and line breaks included: it ends at the last parenthesis. A text that
    /// is cut off is none.
    static func process(_ pid: Int32, stat: some RandomAccessCollection<UInt8>, pageSize: UInt64) -> ProcessSample? {
        guard let end = stat.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        var fields = NumberFields(stat[stat.index(after: end)...])
        guard let state = fields.nextWord(), let parent = fields.next(), let group = fields.next(),
            let session = fields.next(), fields.skip(3), let faults = fields.next(), let childFaults = fields.next(),
            fields.skip(2), let user = fields.next(), let system = fields.next(), let childUser = fields.next(),
            let childSystem = fields.next(), fields.skip(2), let threads = fields.next(), fields.skip(1),
            let start = fields.next(), fields.skip(1), let pages = fields.next(), fields.hasDelimiter
        else { return nil }
        let hasEnded = state == UInt8(ascii: "Z") || state == UInt8(ascii: "X")
        func unsigned(_ value: Int64) -> UInt64 { UInt64(max(0, value)) }
        return ProcessSample(
            pid: pid,
            parent: Int32(truncatingIfNeeded: parent),
            group: Int32(truncatingIfNeeded: group),
            session: Int32(truncatingIfNeeded: session),
            start: unsigned(start),
            // The state is that of the first thread. A zombie has one thread; others live.
            isZombie: hasEnded && threads <= 1,
            hasDeadLeader: hasEnded && threads > 1,
            ticks: unsigned(user) &+ unsigned(system),
            // Children's times can be negative in a container whose kernel is confused.
            childTicks: unsigned(childUser) &+ unsigned(childSystem),
            faults: unsigned(faults) &+ unsigned(childFaults),
            childFaults: unsigned(childFaults),
            threads: Int(clamping: max(0, threads)),
            memory: unsigned(pages).multipliedReportingOverflow(by: pageSize).partialValue
        )
    }

    /// The storage that a process has read and written, in the text of /proc/PID/io.
    static func io(_ text: some RandomAccessCollection<UInt8>) -> ProcessIO? {
        guard let read = number(after: "\nread_bytes: ", in: text),
            let written = number(after: "\nwrite_bytes: ", in: text)
        else { return nil }
        return ProcessIO(read: read, written: written)
    }

    /// The soft limit of file locks in the text of /proc/PID/limits; `nil` when there is none.
    static func lockLimit(limits text: some RandomAccessCollection<UInt8>) -> UInt64? {
        number(after: "\nMax file locks ", in: text)
    }

    /// The user that a process runs as, in the text of /proc/PID/status. The kernel escapes line breaks of the name there.
    static func user(status text: some RandomAccessCollection<UInt8>) -> UInt32? {
        number(after: "\nUid:\t", in: text).flatMap { UInt32(exactly: $0) }
    }

    /// The names of the variables in the text of /proc/PID/environ that mark descendants of a supervised program.
    static func marks(environ text: some RandomAccessCollection<UInt8>) -> [String] {
        var marks: [String] = []
        let prefix = GroupMark.variablePrefix.utf8
        for variable in text.split(separator: 0) where variable.starts(with: prefix) {
            let name = variable.prefix { $0 != UInt8(ascii: "=") }
            guard name.count == prefix.count + GroupMark.digits, name.count < variable.count,
                name.dropFirst(prefix.count).allSatisfy({ (48...57).contains($0) || (65...70).contains($0) })
            else { continue }
            marks.append(String(decoding: name, as: UTF8.self))
        }
        return marks
    }

    /// The number behind a label; spaces may stand between them, and something must stand behind the number.
    private static func number(
        after label: StaticString,
        in text: some RandomAccessCollection<UInt8>
    ) -> UInt64? {
        let label = UnsafeBufferPointer(start: label.utf8Start, count: label.utf8CodeUnitCount)
        guard let first = label.first else { return nil }
        var index = text.startIndex
        while let start = text[index...].firstIndex(of: first) {
            guard text[start...].starts(with: label) else {
                index = text.index(after: start)
                continue
            }
            var fields = NumberFields(text[start...].dropFirst(label.count))
            guard let number = fields.next(), number >= 0, fields.hasDelimiter else { return nil }
            return UInt64(number)
        }
        return nil
    }
}

/// Reads the numbers of a line of /proc one after the other.
struct NumberFields<Text: RandomAccessCollection<UInt8>> {
    private let text: Text
    private var index: Text.Index

    init(_ text: Text) {
        self.text = text
        index = text.startIndex
    }

    private mutating func skipSpaces() {
        while index < text.endIndex, text[index] == UInt8(ascii: " ") { text.formIndex(after: &index) }
    }

    /// The first letter of the next word.
    mutating func nextWord() -> UInt8? {
        skipSpaces()
        guard index < text.endIndex else { return nil }
        let first = text[index]
        while index < text.endIndex, text[index] > UInt8(ascii: " ") { text.formIndex(after: &index) }
        return first
    }

    /// The next number; the largest one when it is larger. `nil` when something else comes next, or nothing.
    mutating func next() -> Int64? {
        skipSpaces()
        var isNegative = false
        if index < text.endIndex, text[index] == UInt8(ascii: "-") {
            isNegative = true
            text.formIndex(after: &index)
        }
        var value: Int64?
        while index < text.endIndex {
            let digit = text[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            let (tens, isTooLarge) = (value ?? 0).multipliedReportingOverflow(by: 10)
            let (sum, isTooLargeToo) = tens.addingReportingOverflow(Int64(digit))
            value = isTooLarge || isTooLargeToo ? .max : sum
            text.formIndex(after: &index)
        }
        return value.map { isNegative ? -$0 : $0 }
    }

    /// Goes past so many numbers; whether there were that many.
    mutating func skip(_ count: Int) -> Bool {
        for _ in 0..<count { guard next() != nil else { return false } }
        return true
    }

    /// Whether something stands behind the last number, so that it is whole.
    var hasDelimiter: Bool { index < text.endIndex && text[index] <= UInt8(ascii: " ") }
}
