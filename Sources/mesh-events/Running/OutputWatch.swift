import Foundation

#if canImport(CDispatch)
    // The compiler finds the system's C structures there as soon as a dependency imports it.
    import CDispatch
#endif

/// Detects that the reader of standard output has ended (`mesh-events watch | head -1`) even when nothing is written.
enum OutputWatch {
    static func install(_ stop: StopRequest, descriptor: Int32 = STDOUT_FILENO) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { return }
        Thread.detachNewThread {
            while true {
                // A pipe reports its end even when no events are requested.
                var entry = pollfd(fd: descriptor, events: 0, revents: 0)
                let count = poll(&entry, 1, -1)
                if count > 0 {
                    stop.stop(.outputClosed)
                    return
                }
                if count < 0 && errno != EINTR { return }
            }
        }
    }
}
