import Foundation

#if canImport(CDispatch)
    // Where the C structures of the system come from for the compiler, as soon as a dependency imports it.
    import CDispatch
#endif

/// Notices that the reader of standard output has gone (`mesh-events watch | head -1`) even when nothing is written.
enum OutputWatch {
    static func install(_ stop: StopRequest, descriptor: Int32 = STDOUT_FILENO) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { return }
        Thread.detachNewThread {
            while true {
                // A pipe reports its end whatever is asked for.
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
