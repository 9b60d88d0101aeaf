import MeshConcurrency

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The logs of tools that were removed: their files stay, so that what a tool did can still be read, but not those of any
/// number of tools.
struct RemovedLogs: Sendable {
    /// The logs of so many removed tools stay.
    static let maximum = 32
    /// A file of this name in the directory of a log marks it as that of a removed tool: the node's next process knows it,
    /// and a log without it is never deleted.
    private static let mark = "removed"

    /// Where the logs of tools are, each in a directory of its tool's name.
    private let directory: String
    /// Keeps a log from being deleted while its tool is installed again.
    private let lock = Locked(())

    init(directory: String) { self.directory = directory }

    /// Notes that tools were removed, and deletes the logs of those removed tools that have not written for the longest
    /// time, when there are too many.
    func add(_ tools: some Sequence<String>) {
        lock.withLock { _ in
            for tool in tools { mark(tool) }
            let removed = all.filter { access(path(ofMark: $0), F_OK) == 0 }
            guard removed.count > Self.maximum else { return }
            let byAge = removed.map { ($0, lastWrite(of: $0)) }.sorted { ($0.1, $0.0) < ($1.1, $1.0) }
            for (tool, _) in byAge.dropLast(Self.maximum) { delete(tool) }
        }
    }

    /// Notes that all tools were removed that have a log and are not among these.
    func addAll(but installed: Set<String>) { add(all.filter { !installed.contains($0) }) }

    /// Notes that a tool is installed again: it goes on with its log.
    func take(_ tool: String) { lock.withLock { _ in _ = unlink(path(ofMark: tool)) } }

    /// The tools that have a directory.
    private var all: [String] {
        LogDirectory.names(in: directory).filter { ToolSpecification.problem(inName: $0) == nil }
    }

    private func path(ofMark tool: String) -> String { "\(directory)/\(tool)/\(Self.mark)" }

    /// Marks a log; does nothing when the tool has none.
    private func mark(_ tool: String) {
        let file = open(path(ofMark: tool), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if file >= 0 { close(file) }
    }

    /// When the log's newest file was written, in nanoseconds.
    private func lastWrite(of tool: String) -> Int64 {
        let log = "\(directory)/\(tool)"
        var status = stat()
        guard let newest = LogSegment.all(in: log).last, lstat(LogSegment.path(newest.first, in: log), &status) == 0
        else { return 0 }
        #if canImport(Darwin)
            let time = status.st_mtimespec
        #else
            let time = status.st_mtim
        #endif
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Deletes a log's files; what else is in the directory stays.
    private func delete(_ tool: String) {
        let log = "\(directory)/\(tool)"
        for segment in LogSegment.all(in: log) { unlink(LogSegment.path(segment.first, in: log)) }
        unlink(path(ofMark: tool))
        rmdir(log)
    }
}
