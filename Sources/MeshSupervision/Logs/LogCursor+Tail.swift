import MeshEvents

extension LogCursor {
    /// Goes to the place from which so many records match the filter; other tasks run meanwhile.
    mutating func skip(to lines: Int, _ filter: LogFilter) async {
        guard let end = LogCursor.end(of: directory) else { return }
        if filter.isOpen || lines == 0 {
            let next = end.next - min(end.next - 1, UInt64(lines))
            let oldest = LogSegment.all(in: directory).first?.first ?? 0
            // When fewer are kept, none was missed.
            self = LogCursor(directory: directory, at: LogPosition(epoch: end.epoch, next: max(next, oldest)))
            return
        }
        var (chosen, index): ([UInt64], Int) = ([], 0)
        var (reader, filter) = (LogCursor(directory: directory), filter)
        while !Task.isCancelled {
            let step = reader.read { raw in
                guard raw.number < end.next else { return false }
                guard filter.record(raw) != nil else { return true }
                if chosen.count < lines {
                    chosen.append(raw.number)
                } else {
                    chosen[index] = raw.number
                    index = (index + 1) % lines
                }
                return true
            }
            if step.isAtEnd || reader.next.map({ $0 >= end.next }) ?? true { break }
            await Task.yield()
        }
        self = LogCursor(
            directory: directory,
            at: LogPosition(epoch: end.epoch, next: chosen.min() ?? end.next)
        )
    }
}
