#if os(Linux)
    import ProcessGuard

    #if canImport(Musl)
        import Musl
    #else
        import Glibc
    #endif

    /// Reads processes from /proc.
    struct LinuxProcesses: ProcessSource {
        /// The most processes that are read at once. Linux has 4 194 304 at most, and 32 768 by default.
        private static let maximumProcesses = 65_536
        /// The most bytes of an environment that are searched for marks.
        private static let environmentBytes = 1 << 20
        /// Enough for what the other files hold.
        private static let textBytes = 4_096
        /// The most threads of a process among which one that lives is searched.
        private static let maximumThreads = 4_096

        let ticksPerSecond = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        let passesIOOn = true
        let own = (pid: getpid(), session: getsid(0), group: getpgrp())
        private let pageSize = UInt64(max(1, sysconf(Int32(_SC_PAGESIZE))))
        private let root: String
        private var buffer = [UInt8](repeating: 0, count: textBytes)
        private var path: [CChar] = []
        /// A thread that lives, of each process in the last list whose first thread has ended.
        private var liveThreads: [Int32: Int32] = [:]

        /// - Parameter root: where /proc is mounted.
        init(root: String = "/proc") { self.root = root }

        var now: UInt64 {
            var time = timespec()
            clock_gettime(CLOCK_BOOTTIME, &time)
            return UInt64((Double(time.tv_sec) + Double(time.tv_nsec) / 1e9) * ticksPerSecond)
        }

        mutating func processes() -> [ProcessSample]? {
            guard let directory = opendir(root) else { return nil }
            defer { closedir(directory) }
            var samples: [ProcessSample] = []
            liveThreads.removeAll()
            while samples.count < Self.maximumProcesses, let entry = readdir(directory) {
                guard let pid = Self.number(entry) else { continue }
                guard case .value(let count) = read("stat", of: pid) else {
                    // Without a file to open, each process would seem to have ended.
                    if errno == EMFILE || errno == ENFILE || errno == ENOMEM { return nil }
                    continue
                }
                if var sample = ProcFile.process(pid, stat: buffer[..<count], pageSize: pageSize) {
                    if sample.hasDeadLeader { readLiveThread(of: &sample) }
                    samples.append(sample)
                }
            }
            return samples
        }

        /// Takes the memory of a process from a thread that lives. When none does, the process is a zombie.
        private mutating func readLiveThread(of sample: inout ProcessSample) {
            setPath("task", of: sample.pid)
            guard let directory = opendir(path) else { return }
            defer { closedir(directory) }
            var count = 0
            while count < Self.maximumThreads, let entry = readdir(directory) {
                guard let thread = Self.number(entry), thread != sample.pid else { continue }
                count += 1
                guard case .value(let length) = read("stat", of: sample.pid, thread: thread),
                    let found = ProcFile.process(sample.pid, stat: buffer[..<length], pageSize: pageSize),
                    !found.isZombie, !found.hasDeadLeader
                else { continue }
                sample.memory = found.memory
                liveThreads[sample.pid] = thread
                return
            }
            if count < Self.maximumThreads { (sample.isZombie, sample.hasDeadLeader) = (true, false) }
        }

        mutating func io(of pid: Int32) -> Readable<ProcessIO> {
            switch read("io", of: pid) {
            case .gone: .gone
            case .refused: .refused
            case .value(let count): ProcFile.io(buffer[..<count]).map { .value($0) } ?? .refused
            }
        }

        mutating func files(of pid: Int32) -> Readable<Int> {
            setPath("fd", of: pid, thread: liveThreads[pid])
            var status = stat()
            // Since Linux 6.2 the directory's size is the number of open files. It is 0 in older ones.
            if stat(path, &status) == 0, status.st_size > 0 { return .value(Int(status.st_size)) }
            return filesInDirectory()
        }

        /// Counts the entries of the directory that the path names.
        private func filesInDirectory() -> Readable<Int> {
            guard let directory = opendir(path) else { return Self.isGone(errno) ? .gone : .refused }
            defer { closedir(directory) }
            var count = 0
            while let entry = readdir(directory) {
                if Self.number(entry) != nil { count += 1 }
            }
            return .value(count)
        }

        /// The same as ``files(of:)``, as it is done before Linux 6.2.
        mutating func countedFiles(of pid: Int32) -> Readable<Int> {
            setPath("fd", of: pid, thread: liveThreads[pid])
            return filesInDirectory()
        }

        mutating func marks(of pid: Int32) -> InheritedMarks {
            var marks = InheritedMarks()
            if case .value(let count) = read("limits", of: pid) {
                marks.limit = ProcFile.lockLimit(limits: buffer[..<count])
            }
            if let limit = marks.limit, limit >= GroupMark.leastLimit, case .value(let count) = read("status", of: pid)
            {
                marks.user = ProcFile.user(status: buffer[..<count])
            }
            if case .value(let count) = read(
                "environ",
                of: pid,
                thread: liveThreads[pid],
                upTo: Self.environmentBytes
            ) {
                marks.variables = ProcFile.marks(environ: buffer[..<count])
            }
            // A process may have a very large environment; few do.
            if buffer.count > 1 << 16 { buffer = [UInt8](repeating: 0, count: Self.textBytes) }
            return marks
        }

        // MARK: Reading

        /// Sets the path to a file of a process, or of one of its threads.
        private mutating func setPath(_ file: StaticString, of pid: Int32, thread: Int32? = nil) {
            path.removeAll(keepingCapacity: true)
            for byte in root.utf8 { path.append(CChar(bitPattern: byte)) }
            append(pid)
            if let thread {
                append("task")
                append(thread)
            }
            append(file)
            path.append(0)
        }

        private mutating func append(_ name: StaticString) {
            path.append(47)
            for index in 0..<name.utf8CodeUnitCount { path.append(CChar(bitPattern: name.utf8Start[index])) }
        }

        private mutating func append(_ number: Int32) {
            path.append(47)
            let first = path.count
            var rest = number
            repeat {
                path.append(CChar(48 + rest % 10))
                rest /= 10
            } while rest > 0
            path[first...].reverse()
        }

        /// Reads a file into the buffer, which grows when it has to.
        ///
        /// - Returns: how many bytes were read.
        private mutating func read(
            _ file: StaticString,
            of pid: Int32,
            thread: Int32? = nil,
            upTo limit: Int = textBytes
        ) -> Readable<Int> {
            setPath(file, of: pid, thread: thread)
            let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
            guard descriptor >= 0 else { return Self.isGone(errno) ? .gone : .refused }
            defer { close(descriptor) }
            var count = 0
            while count < limit {
                if count == buffer.count {
                    buffer.append(contentsOf: repeatElement(0, count: min(buffer.count, limit - count)))
                }
                let end = min(buffer.count, limit)
                let added = buffer.withUnsafeMutableBytes { bytes in
                    pread(descriptor, bytes.baseAddress.map { $0 + count }, end - count, off_t(count))
                }
                if added < 0 {
                    if errno == EINTR { continue }
                    return Self.isGone(errno) ? .gone : .refused
                }
                if added == 0 { break }
                count += added
            }
            return .value(count)
        }

        private static func isGone(_ error: Int32) -> Bool { error == ENOENT || error == ESRCH }

        /// The number that the name of a directory's entry is; `nil` when it is none.
        ///
        /// The name is read where it is: an entry is shorter than its type.
        private static func number(_ entry: UnsafeMutablePointer<dirent>) -> Int32? {
            guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { return nil }
            let name = UnsafeRawPointer(entry) + offset
            var number: Int32 = 0
            var count = 0
            while true {
                let byte = name.load(fromByteOffset: count, as: UInt8.self)
                if byte == 0 { return count > 0 ? number : nil }
                let digit = byte &- 48
                guard digit <= 9, count < 9 else { return nil }
                number = number * 10 + Int32(digit)
                count += 1
            }
        }
    }
#endif
