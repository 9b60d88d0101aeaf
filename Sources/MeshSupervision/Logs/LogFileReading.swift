#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Reads an open file of a log.
enum LogFile {
    private static let chunk = 256 << 10

    /// Opens a file to read; `nil` when there is none.
    static func open(_ segment: LogSegment, in directory: String, flags: Int32 = O_RDONLY) -> Int32? {
        let path = LogSegment.path(segment.first, in: directory)
        #if canImport(Darwin)
            let file = Darwin.open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        #elseif canImport(Musl)
            let file = Musl.open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        #else
            let file = Glibc.open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        #endif
        guard file >= 0 else { return nil }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(file)
            return nil
        }
        return file
    }

    /// Reads at a place; returns how many bytes there were.
    static func read(_ file: Int32, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        while true {
            let count = pread(file, buffer.baseAddress, buffer.count, off_t(offset))
            if count < 0, errno == EINTR { continue }
            return max(0, count)
        }
    }

    /// The first line of a file; `nil` when it is none of a log.
    static func header(_ file: Int32) -> LogFormat.Header? {
        withUnsafeTemporaryAllocation(byteCount: LogFormat.maximumHeader, alignment: 1) { buffer in
            let count = read(file, at: 0, into: buffer)
            return LogFormat.header(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    /// Counts line breaks from a place on.
    ///
    /// - Parameter limit: after so many the counting ends.
    /// - Returns: how many there are, and where the byte after the last one is.
    static func countLines(_ file: Int32, from start: Int, atMost limit: UInt64 = .max) -> (count: UInt64, end: Int) {
        var (count, end, offset): (UInt64, Int, Int) = (0, start, start)
        guard limit > 0 else { return (0, start) }
        withUnsafeTemporaryAllocation(byteCount: chunk, alignment: 1) { buffer in
            while true {
                let length = read(file, at: offset, into: buffer)
                guard length > 0, let base = UnsafeRawPointer(buffer.baseAddress) else { return }
                var index = 0
                while index < length, let found = memchr(base + index, 10, length - index) {
                    index = UnsafeRawPointer(found) - base + 1
                    count += 1
                    end = offset + index
                    if count == limit { return }
                }
                offset += length
            }
        }
        return (count, end)
    }
}
