#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The standard input of a program: a text that the program need not read.
///
/// This process keeps the reading end until ``close()``. Without it, writing to a program that has ended would cause
/// `SIGPIPE`, which ends a process that does not ignore it.
struct TextInput: Sendable {
    /// How long to wait for the program to read when the pipe is full.
    private static let pause: Duration = .milliseconds(5)

    private let text: String
    private let pipe: DescriptorPair

    /// Makes the pipe.
    ///
    /// - Throws: `LaunchError` when the process or the system has no file descriptor left.
    init(_ text: String) throws(LaunchError) {
        self.text = text
        pipe = try DescriptorPair()
        pipe.setNonBlockingWrite()
    }

    /// The end that the program reads.
    var readEnd: Int32 { pipe.readEnd }

    /// Writes the text, then ends the input; gives up when the task is cancelled. Call it once.
    func write() async {
        defer { _ = closeDescriptor(pipe.writeEnd) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { writeBytes(pipe.writeEnd, $0.baseAddress, $0.count) }
            if written > 0 {
                rest.removeFirst(written)
            } else if errno == EAGAIN {
                guard (try? await Task.sleep(for: Self.pause)) != nil else { return }
            } else if errno != EINTR {
                return
            }
        }
    }

    /// Closes this process's copy of the reading end; call it once, after ``write()`` has returned.
    func close() { _ = closeDescriptor(pipe.readEnd) }
}

/// Calls `close` where a method of that name hides it.
private func closeDescriptor(_ descriptor: Int32) -> Int32 { close(descriptor) }

/// Calls `write` where a method of that name hides it.
private func writeBytes(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}
