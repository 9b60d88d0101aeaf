import MeshEvents

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Reads a log from its files, record by record. It keeps no file open, and takes no lock: it may read while another
/// process writes.
struct LogCursor: Sendable {
    /// What happened on the way.
    struct Step: Sendable, Equatable {
        /// How many records were removed before they could be read.
        var missed: UInt64 = 0
        /// Whether the log has begun anew: its earlier records are gone.
        var hasBegunAnew = false
        /// Whether there is nothing more for now.
        var isAtEnd = false
    }

    /// The most bytes that are read at once.
    static let chunk = 128 << 10

    let directory: String
    /// The log's epoch; empty until that is known.
    private(set) var epoch = ""
    /// The number of the record that comes next; `nil` for the oldest one.
    private(set) var next: UInt64?
    /// The file and the place in it where that record begins.
    private var place: (first: UInt64, offset: Int)?

    /// Begins at a place; at the oldest record for `nil`.
    init(directory: String, at position: LogPosition? = nil) {
        self.directory = directory
        epoch = position?.epoch ?? ""
        next = position.map { max($0.next, 1) }
    }

    /// The place of the record that comes next; `nil` while there is no log.
    var position: LogPosition? { next.map { LogPosition(epoch: epoch, next: $0) } }

    /// Where the newest record of a log ends; `nil` when there is no log.
    static func end(of directory: String) -> LogPosition? {
        for segment in LogSegment.all(in: directory).reversed() {
            guard let file = LogFile.open(segment, in: directory) else { continue }
            defer { close(file) }
            guard let header = LogFile.header(file), header.first == segment.first else { continue }
            let count = LogFile.countLines(file, from: header.length).count
            return LogPosition(epoch: header.epoch, next: header.first + count)
        }
        return nil
    }

    /// Reads on.
    ///
    /// - Parameter visit: gets the records, at most ``chunk`` bytes of them; `false` leaves the record for the next time.
    mutating func read(_ visit: (RawLogRecord) -> Bool) -> Step {
        var step = Step()
        // Each file that is gone or at its end takes a turn.
        for _ in 0..<1_000 {
            guard let (first, offset) = place else {
                guard locate(&step) else {
                    step.isAtEnd = true
                    return step
                }
                continue
            }
            guard let file = LogFile.open(LogSegment(first: first), in: directory) else {
                place = nil
                continue
            }
            defer { close(file) }
            if read(file, first, offset, visit) { return step }
            guard let newer = LogSegment.all(in: directory).first(where: { $0.first > first }) else {
                // A file that has become smaller is another one.
                var status = stat()
                if fstat(file, &status) == 0, Int(status.st_size) < offset {
                    place = nil
                    continue
                }
                step.isAtEnd = true
                return step
            }
            // More may have been written before the newer file was begun.
            if read(file, first, offset, visit) { return step }
            let next = next ?? newer.first
            if newer.first > next { step.missed.addSaturating(newer.first - next) }
            self.next = max(newer.first, next)
            place = nil
        }
        step.isAtEnd = true
        return step
    }

    /// Reads records of a file; returns whether there were any.
    private mutating func read(
        _ file: Int32,
        _ first: UInt64,
        _ start: Int,
        _ visit: (RawLogRecord) -> Bool
    ) -> Bool {
        var (offset, next) = (start, next ?? first)
        defer {
            self.next = next
            place = (first, offset)
        }
        return withUnsafeTemporaryAllocation(byteCount: Self.chunk, alignment: 1) { buffer in
            let count = LogFile.read(file, at: start, into: buffer)
            guard count > 0, let base = UnsafeRawPointer(buffer.baseAddress) else { return false }
            var index = 0
            while index < count, let found = memchr(base + index, 10, count - index) {
                let end = UnsafeRawPointer(found) - base
                let line = UnsafeRawBufferPointer(start: base + index, count: end - index)
                guard visit(RawLogRecord.read(line, number: next)) else { return true }
                index = end + 1
                offset = start + index
                next += 1
            }
            if index == 0, count == Self.chunk {
                // No record is so long: the file is damaged up to the next line break.
                let rest = LogFile.countLines(file, from: start, atMost: 1)
                guard rest.count == 1 else { return false }
                guard visit(RawLogRecord.damaged(next)) else { return true }
                offset = rest.end
                next += 1
                return true
            }
            return index > 0
        }
    }

    /// Finds the file and the place of the next record; `false` when there is no log.
    private mutating func locate(_ step: inout Step) -> Bool {
        let segments = LogSegment.all(in: directory)
        guard let oldest = segments.first, let newest = segments.last else { return false }
        // The newest one may be without its first line for a moment.
        guard let epoch = (header(newest) ?? header(oldest))?.epoch else { return false }
        if !self.epoch.isEmpty, epoch != self.epoch {
            step.hasBegunAnew = true
            next = nil
        }
        self.epoch = epoch
        var wanted = next ?? oldest.first
        if wanted < oldest.first {
            step.missed.addSaturating(oldest.first - wanted)
            wanted = oldest.first
        }
        next = wanted
        guard let segment = segments.last(where: { $0.first <= wanted }),
            let file = LogFile.open(segment, in: directory)
        else { return false }
        defer { close(file) }
        guard let header = LogFile.header(file) else { return false }
        let (count, end) = LogFile.countLines(file, from: header.length, atMost: wanted - segment.first)
        if segment.first + count < wanted {
            let following = segments.first { $0.first > segment.first }?.first
            if let following {
                step.missed.addSaturating(following - wanted)
                next = following
                return true
            }
            // The machine has lost records that were read before: those that come now are new ones.
            step.hasBegunAnew = true
            next = segment.first + count
        }
        place = (segment.first, end)
        return true
    }

    private func header(_ segment: LogSegment) -> LogFormat.Header? {
        guard let file = LogFile.open(segment, in: directory) else { return nil }
        defer { close(file) }
        return LogFile.header(file)
    }
}
