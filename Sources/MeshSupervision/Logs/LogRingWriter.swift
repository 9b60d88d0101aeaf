import MeshEvents
import ProcessGuard

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A line that is written into a log.
struct LogEntry: Sendable {
    let stream: LogRecord.Stream
    let line: String
}

/// Writes a log into a ring of files. One process writes a directory at a time.
///
/// It never fails: what cannot be written is counted, and a record says how many lines are missing as soon as one can be
/// written again.
struct LogRingWriter: Sendable {
    /// What becomes of the files, for the node's own log.
    enum Trouble: Sendable, Equatable {
        /// They cannot be written, for this reason.
        case begins(String)
        /// They can be written again; so many lines are missing.
        case ends(missing: UInt64)
    }

    /// What is kept of a tool that writes without end: the disk is not to be busy with nothing else.
    static let allowance: OutputLimits = {
        var limits = OutputLimits()
        limits.linesPerSecond = 500_000
        limits.bytesPerSecond = 32 << 20
        return limits
    }()

    /// How often files that are gone are looked for, and how often opening is tried.
    private static let pause: Duration = .seconds(1)

    let directory: String
    /// How many files there are, and how large.
    var settings: ToolLogSettings
    private var file: Int32 = -1
    private var size = 0
    private var epoch = ""
    private(set) var next: UInt64 = 0
    private var buffer: [UInt8] = []
    /// How many records are in the buffer, and how many of them are about missing lines.
    private var pending: (records: UInt64, notes: UInt64, lost: UInt64, skipped: UInt64) = (0, 0, 0, 0)
    private var clock = LogTimeWriter()
    private var allowance = OutputAllowance(Self.allowance)
    /// What the node says is kept, whatever the tool writes.
    private var nodesAllowance = OutputAllowance(Self.allowance)
    /// The last lines beyond the allowance, until the next second, what the node says, or the end.
    private var held = HeldLines()
    /// Lines that could not be written, and lines beyond the allowance, since the last record about them.
    private var lost: UInt64 = 0
    private var skipped: UInt64 = 0
    private var reason = ""
    /// Whether the last attempt to write failed.
    private var isFailing = false
    private var isBroken = false
    private var checked: ContinuousClock.Instant?

    init(directory: String, settings: ToolLogSettings) {
        self.directory = directory
        self.settings = settings
    }

    /// How many lines are missing that no record tells of yet.
    var missing: UInt64 { lost + skipped }

    /// Writes lines.
    ///
    /// - Parameters:
    ///   - time: when they came.
    ///   - now: the time of the clock that measures the allowance.
    ///   - refusal: why this process may not write; `nil` when it may.
    /// - Returns: what has changed for the files.
    mutating func append(
        _ entries: some Sequence<LogEntry>,
        at time: Timestamp,
        now: ContinuousClock.Instant,
        refusal: String? = nil
    ) -> Trouble? {
        let wasFailing = isFailing
        let isAnotherSecond = allowance.begin(at: now) != nil
        _ = nodesAllowance.begin(at: now)
        if checked.map({ now - $0 >= Self.pause }) ?? true {
            checked = now
            if let refusal {
                (reason, isFailing) = (refusal, true)
            } else {
                checkOrOpen()
            }
        }
        let missing = missing
        if file >= 0 { noteLost(at: time) }
        if isAnotherSecond { release(at: time) }
        for entry in entries {
            if entry.stream == .node {
                guard nodesAllowance.admits(entry.line.utf8.count + 1) else {
                    skipped += 1
                    continue
                }
                // What comes after the lines of a tool stays behind them.
                release(at: time)
            } else if !held.isEmpty || !allowance.admits(entry.line.utf8.count + 1) {
                skipped += held.append(entry, at: time)
                continue
            }
            add(entry, at: time)
        }
        flush()
        guard wasFailing != isFailing else { return nil }
        return isFailing ? .begins(reason) : .ends(missing: missing)
    }

    /// Closes the file; the next line opens it again.
    mutating func close() {
        if file >= 0 {
            release(at: .now)
            flush()
        }
        closeFile()
    }

    // MARK: Records

    private mutating func add(_ entry: LogEntry, at time: Timestamp) {
        guard file >= 0 else {
            lost += 1
            return
        }
        encode(LogFormat.word(entry.stream), entry.line, at: time)
        if size + buffer.count >= settings.fileSize {
            flush()
            if size >= settings.fileSize { rotate() }
        }
    }

    /// Writes how many lines are missing for the allowance, and the last ones beyond it.
    private mutating func release(at time: Timestamp) {
        let lines = held.take()
        if file >= 0, skipped > 0 {
            // Records about what is missing come first in what is written.
            flush()
            noteSkipped(at: lines.first?.time ?? time)
        }
        for (time, entry) in lines { add(entry, at: time) }
    }

    private mutating func encode(_ word: StaticString, _ line: String, at time: Timestamp) {
        clock.append(time, to: &buffer)
        buffer.append(UInt8(ascii: " "))
        buffer.append(contentsOf: UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
        buffer.append(UInt8(ascii: " "))
        var line = line
        line.withUTF8 { bytes in
            let start = buffer.count
            buffer.append(contentsOf: bytes)
            // A line of a tool has no line break; one of the node may.
            guard let base = bytes.baseAddress, memchr(base, 10, bytes.count) != nil else { return }
            for index in start..<buffer.count where buffer[index] == 10 { buffer[index] = UInt8(ascii: " ") }
        }
        buffer.append(10)
        pending.records += 1
    }

    /// Begins with records about what could not be written.
    private mutating func noteLost(at time: Timestamp) {
        if isBroken {
            encode(LogFormat.dropped, "1 record was written in part only, and is left out", at: time)
            pending.notes += 1
        }
        if lost > 0 {
            encode(LogFormat.dropped, "\(lost) lines dropped: they could not be written (\(reason))", at: time)
            pending.notes += 1
            pending.lost = lost
        }
    }

    private mutating func noteSkipped(at time: Timestamp) {
        encode(LogFormat.dropped, "\(skipped) lines dropped: more than is kept of a second", at: time)
        pending.notes += 1
        pending.skipped = skipped
    }

    private mutating func flush() {
        guard !buffer.isEmpty else { return }
        let (written, problem) = file >= 0 ? write() : (0, EBADF)
        next += written
        if written >= pending.notes {
            isBroken = isBroken && pending.notes == 0
            lost -= pending.lost
            skipped -= pending.skipped
            lost += pending.records - written
        } else {
            lost += pending.records - pending.notes
        }
        if let problem {
            fail(problem)
        } else {
            isFailing = false
        }
        buffer.removeAll(keepingCapacity: true)
        // A single large batch must not keep its memory for ever.
        if buffer.capacity > 1 << 20 { buffer = [] }
        pending = (0, 0, 0, 0)
    }

    /// Writes the buffer; returns how many records are in the file, and what went wrong.
    private mutating func write() -> (records: UInt64, problem: Int32?) {
        let (written, problem) = Self.write(buffer, to: file)
        guard problem != nil else {
            size += written
            return (pending.records, nil)
        }
        // Only whole records stay.
        var (whole, records): (Int, UInt64) = (0, 0)
        for index in 0..<written where buffer[index] == 10 { (whole, records) = (index + 1, records + 1) }
        if whole < written, ftruncate(file, off_t(size + whole)) != 0 { closeFile() }
        size += whole
        return (records, problem)
    }

    private static func write(_ bytes: [UInt8], to file: Int32) -> (written: Int, problem: Int32?) {
        bytes.withUnsafeBytes { bytes in
            var written = 0
            while written < bytes.count {
                let count = systemWrite(file, bytes.baseAddress.map { $0 + written }, bytes.count - written)
                if count > 0 {
                    written += count
                } else if count == 0 || errno != EINTR {
                    return (written, count == 0 ? ENOSPC : errno)
                }
            }
            return (written, nil)
        }
    }

    private mutating func fail(_ number: Int32) {
        reason = String(cString: strerror(number))
        isFailing = true
    }

    // MARK: Files

    private mutating func closeFile() {
        if file >= 0 { _ = systemClose(file) }
        file = -1
        checked = nil
    }

    /// Opens the log; or finds that its file is gone or was cut, and goes on with another one.
    private mutating func checkOrOpen() {
        if file >= 0 {
            var status = stat()
            let isWell = fstat(file, &status) == 0 && status.st_nlink > 0 && Int(status.st_size) >= size
            guard !isWell else { return }
            if status.st_nlink > 0 { unlink(LogSegment.path(segmentFirst, in: directory)) }
            _ = systemClose(file)
            file = -1
        }
        if let problem = LogDirectory.make(directory) {
            reason = problem
            isFailing = true
            return
        }
        open()
    }

    /// The number of the first record of the open file.
    private var segmentFirst: UInt64 = 0

    private mutating func open() {
        var segments = LogSegment.all(in: directory)
        while let last = segments.popLast() {
            guard let file = LogFile.open(last, in: directory, flags: O_RDWR | O_APPEND) else {
                // Not a file, or not readable: it is in the way.
                unlink(LogSegment.path(last.first, in: directory))
                continue
            }
            guard let header = LogFile.header(file), header.first == last.first else {
                // It was begun when the machine lost its power.
                _ = systemClose(file)
                unlink(LogSegment.path(last.first, in: directory))
                continue
            }
            let (count, end) = LogFile.countLines(file, from: header.length)
            if epoch == header.epoch, next > header.first + count {
                // The newest file is gone; the numbers go on in another one.
                _ = systemClose(file)
                break
            }
            var status = stat()
            fchmod(file, 0o600)
            if fstat(file, &status) == 0, Int(status.st_size) > end {
                isBroken = true
                if ftruncate(file, off_t(end)) != 0 { fail(errno) }
            }
            (self.file, size, epoch) = (file, end, header.epoch)
            (segmentFirst, next) = (header.first, header.first + count)
            if next >= LogSegment.lastNumber { rotate() }
            return
        }
        if epoch.isEmpty { epoch = LogFormat.makeEpoch() }
        next = max(next, 1)
        begin()
    }

    private mutating func rotate() {
        _ = systemClose(file)
        file = -1
        begin()
    }

    /// Begins a file; the oldest ones make room.
    ///
    /// When the numbers come to their end, the log begins anew: no honest log does, but a file of its name may.
    private mutating func begin() {
        let segments = LogSegment.all(in: directory)
        let isAtEnd = next >= LogSegment.lastNumber
        for old in isAtEnd ? segments[...] : segments.dropLast(max(0, settings.files - 1)) {
            unlink(LogSegment.path(old.first, in: directory))
        }
        if isAtEnd { (epoch, next) = (LogFormat.makeEpoch(), 1) }
        let path = LogSegment.path(next, in: directory)
        let file = systemOpen(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { return fail(errno) }
        let header = LogFormat.header(epoch: epoch, first: next)
        if let problem = Self.write(header, to: file).problem {
            _ = systemClose(file)
            unlink(path)
            return fail(problem)
        }
        (self.file, size, segmentFirst) = (file, header.count, next)
    }
}

/// The directory of a log, which only its owner can enter.
enum LogDirectory {
    /// The names of what is in a directory, in no order; none when it cannot be read.
    static func names(in path: String) -> [String] {
        guard let handle = opendir(path) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
            )
        }
        return names
    }

    /// Makes the directory, and those above it that are missing; returns what is wrong when that is not possible.
    static func make(_ path: String) -> String? {
        var status = stat()
        if lstat(path, &status) != 0 {
            guard errno == ENOENT else { return problem(path) }
            let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
            if !parent.isEmpty, lstat(parent, &status) != 0, let problem = make(parent) { return problem }
            guard mkdir(path, 0o700) == 0 || errno == EEXIST, lstat(path, &status) == 0 else { return problem(path) }
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { return "\(path) is no directory" }
        guard status.st_uid == geteuid() else { return "\(path) belongs to another user" }
        if status.st_mode & 0o077 != 0, chmod(path, 0o700) != 0 { return problem(path) }
        return nil
    }

    private static func problem(_ path: String) -> String { "\(path): \(String(cString: strerror(errno)))" }
}

#if canImport(Darwin)
    private let systemWrite = Darwin.write
    private let systemClose = Darwin.close
    private func systemOpen(_ path: String, _ flags: Int32, _ mode: mode_t) -> Int32 { Darwin.open(path, flags, mode) }
#elseif canImport(Musl)
    private let systemWrite = Musl.write
    private let systemClose = Musl.close
    private func systemOpen(_ path: String, _ flags: Int32, _ mode: mode_t) -> Int32 { Musl.open(path, flags, mode) }
#else
    private let systemWrite = Glibc.write
    private let systemClose = Glibc.close
    private func systemOpen(_ path: String, _ flags: Int32, _ mode: mode_t) -> Int32 { Glibc.open(path, flags, mode) }
#endif
