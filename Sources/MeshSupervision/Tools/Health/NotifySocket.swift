import Foundation
import MeshConcurrency
import ProcessGuard
import ServiceNotification
import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The socket on which a tool speaks to its supervisor, by the protocol of sd_notify: datagrams of lines `NAME=value` to the
/// path in `NOTIFY_SOCKET`.
///
/// It is in a directory that only this user may enter; for a tool of another user, that user alone may write to the socket.
/// On Linux, the kernel says which process sent a datagram, and those of processes that are none of the tool's are ignored.
/// At most ``perWindow`` datagrams in ``window`` are read: one that sends more waits, as at any socket whose reader is slow.
/// Descriptors that come with a datagram are never taken.
final class NotifySocket: Sendable {
    private static let perWindow = 64
    private static let window: Duration = .milliseconds(100)
    /// How often a waiting reader checks whether it was closed, in milliseconds; where `shutdown` wakes it, it need not.
    private static let patience: Int32 = 1_000
    private static let barrier = "BARRIER=1".utf8

    /// The path of the socket.
    let path: String
    /// The directory, which has nothing else in it.
    let directory: String
    private let descriptor: Int32
    /// Whether the descriptor is open; guards its closing, after which its number may be another's.
    private let isOpen = Locked(true)
    private let hasBegun = Atomic(false)
    private let isClosed = Atomic(false)
    private let ended = OneTimeSignal()

    /// Makes the socket.
    ///
    /// - Parameter user: the tool's user; `nil` for this process's.
    /// - Throws: a sentence that says what could not be made, and why.
    init(for user: ProcessUser? = nil) throws(ToolNoticeError) {
        directory = try Self.makeDirectory()
        path = directory + "/notify"
        do throws(ToolNoticeError) {
            let bound = try Self.bind(path)
            do throws(ToolNoticeError) {
                try Self.admit(user, to: path, in: directory)
            } catch {
                Self.closeDescriptor(bound)
                throw error
            }
            descriptor = bound
        } catch {
            unlink(path)
            rmdir(directory)
            throw error
        }
    }

    deinit { if !hasBegun.load(ordering: .relaxed) { remove() } }

    /// Begins to read. What was sent before is read first.
    ///
    /// - Parameters:
    ///   - isKnown: whether a process is one of the tool's.
    ///   - onStranger: called for a datagram of another process.
    ///   - receive: called with what the tool has said; both are called on one thread.
    func begin(
        isKnown: @escaping @Sendable (_ pid: Int32) -> Bool,
        onStranger: @escaping @Sendable (_ pid: Int32) -> Void,
        receive: @escaping @Sendable (ToolNotice) -> Void
    ) {
        guard !hasBegun.exchange(true, ordering: .acquiringAndReleasing) else { return }
        // The thread keeps the socket alive until the end. A Dispatch source would need none; OutputReader says why it is
        // not used.
        Thread.detachNewThread { self.run(isKnown, onStranger, receive) }
    }

    /// Reads no more, and removes the socket and its directory.
    func close() async {
        isClosed.store(true, ordering: .releasing)
        guard hasBegun.load(ordering: .acquiring) else { return }
        // Wakes the thread.
        isOpen.withLock { if $0 { shutdown(descriptor, Int32(SHUT_RDWR)) } }
        let ended = ended
        await uncancelled { try? await ended.wait() }
    }

    private func remove() {
        isOpen.withLock { isOpen in
            isOpen = false
            Self.closeDescriptor(descriptor)
        }
        unlink(path)
        rmdir(directory)
    }

    // MARK: Reading

    private func run(
        _ isKnown: (Int32) -> Bool,
        _ onStranger: (Int32) -> Void,
        _ receive: (ToolNotice) -> Void
    ) {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        var reader = DatagramReader()
        var start = ContinuousClock.now
        var count = 0
        while !isClosed.load(ordering: .acquiring) {
            let ready = poll(&wanted, 1, Self.patience)
            guard ready >= 0 || errno == EINTR else { break }
            guard ready > 0 else { continue }
            var notice = ToolNotice()
            var hasRead = false
            while count < Self.perWindow, let datagram = reader.read(descriptor) {
                count += 1
                hasRead = true
                guard let message = datagram.message else { continue }
                // sd_notify_barrier waits until the descriptor that comes along is closed. It is, so its sender may have ended.
                if message.elementsEqual(Self.barrier) { continue }
                if let sender = datagram.sender, !isKnown(sender) {
                    onStranger(sender)
                } else {
                    notice.add(message)
                }
            }
            if !notice.isEmpty { receive(notice) }
            let now = ContinuousClock.now
            let left = Self.window - (now - start)
            if left <= .zero {
                (start, count) = (now, 0)
            } else if count >= Self.perWindow || !hasRead {
                // Not read: the socket was shut down, or wakes without reason.
                usleep(UInt32(left / .microseconds(1)))
            }
        }
        remove()
        ended.send()
    }

    // MARK: Making

    private static func makeDirectory() throws(ToolNoticeError) -> String {
        let place = FileManager.default.temporaryDirectory.path
        let name = "/mesh-events-XXXXXX"
        // A socket's path is short: 104 bytes on macOS, 108 on Linux, with the zero at the end.
        let isShort = place.utf8.count + name.utf8.count + "/notify".utf8.count < 104
        var template = Array(((isShort ? place : "/tmp") + name).utf8CString)
        guard mkdtemp(&template) != nil else {
            throw ToolNoticeError("no directory could be made for NOTIFY_SOCKET", errno)
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Lets only the tool's user write to the socket. The directory stays this process's, so that nothing else gets into it.
    private static func admit(_ user: ProcessUser?, to path: String, in directory: String) throws(ToolNoticeError) {
        guard chmod(path, 0o600) == 0 else { throw ToolNoticeError("the socket \(path) could not be made", errno) }
        guard let user, !user.isCurrent else { return }
        guard chown(path, user.id, user.group) == 0, chmod(directory, 0o711) == 0 else {
            throw ToolNoticeError("the socket \(path) could not be given to user \(user.name)", errno)
        }
    }

    private static func bind(_ path: String) throws(ToolNoticeError) -> Int32 {
        guard let descriptor = NotifyAddress.makeSocket() else {
            throw ToolNoticeError("no socket could be made for NOTIFY_SOCKET", errno)
        }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        guard let address = NotifyAddress(path) else {
            closeDescriptor(descriptor)
            throw ToolNoticeError("the socket \(path) could not be made", ENAMETOOLONG)
        }
        if let problem = address.bindSocket(descriptor) {
            closeDescriptor(descriptor)
            throw ToolNoticeError("the socket \(path) could not be made", problem)
        }
        #if os(Linux)
            // Before the tool can send: only then has each datagram its sender.
            var isOn: Int32 = 1
            setsockopt(descriptor, SOL_SOCKET, SO_PASSCRED, &isOn, socklen_t(MemoryLayout<Int32>.size))
        #endif
        return descriptor
    }

    private static func closeDescriptor(_ descriptor: Int32) {
        #if canImport(Darwin)
            _ = Darwin.close(descriptor)
        #elseif canImport(Musl)
            _ = Musl.close(descriptor)
        #else
            _ = Glibc.close(descriptor)
        #endif
    }
}

/// Why a tool's socket could not be made.
struct ToolNoticeError: Error, CustomStringConvertible {
    let description: String

    init(_ problem: String, _ errorNumber: Int32) {
        description = "\(problem): \(String(cString: strerror(errorNumber)))"
    }
}

/// Reads datagrams with their senders into memory of its own.
private struct DatagramReader {
    struct Datagram {
        /// The bytes; `nil` when there were too many.
        let message: ArraySlice<UInt8>?
        /// The sender's process id; `nil` where the system does not tell.
        let sender: Int32?
    }

    /// The room for the sender's credentials, and for nothing else: descriptors that come along find no place, and the
    /// kernel closes them.
    private static let controlBytes = 32

    private var buffer = [UInt8](repeating: 0, count: ToolNotice.maximumBytes)

    /// Reads one; `nil` when none waits.
    mutating func read(_ descriptor: Int32) -> Datagram? {
        withUnsafeTemporaryAllocation(byteCount: Self.controlBytes, alignment: 16) { control in
            control.initializeMemory(as: UInt8.self, repeating: 0)
            let (count, flags, used) = buffer.withUnsafeMutableBytes { bytes -> (Int, Int32, Int) in
                var part = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                return withUnsafeMutablePointer(to: &part) { part in
                    var header = msghdr()
                    header.msg_iov = part
                    header.msg_iovlen = .init(1)
                    header.msg_control = control.baseAddress
                    header.msg_controllen = .init(control.count)
                    let count = recvmsg(descriptor, &header, Int32(MSG_DONTWAIT))
                    return (count, header.msg_flags, Int(header.msg_controllen))
                }
            }
            // A datagram may be empty; an end gives no bytes either, and no sender.
            let sender = Self.sender(UnsafeRawBufferPointer(control), used)
            guard count > 0 || count == 0 && sender != nil else { return nil }
            let isWhole = flags & Int32(MSG_TRUNC) == 0
            return Datagram(message: isWhole ? buffer[..<count] : nil, sender: sender)
        }
    }

    /// The process id in a control message of the kind SCM_CREDENTIALS, whose macros Swift does not see: the length, the
    /// level and the kind, then the process, the user and the group.
    private static func sender(_ control: UnsafeRawBufferPointer, _ used: Int) -> Int32? {
        #if os(Linux)
            let credentials: Int32 = 2
            guard used >= 28, control.load(fromByteOffset: 8, as: Int32.self) == SOL_SOCKET,
                control.load(fromByteOffset: 12, as: Int32.self) == credentials
            else { return nil }
            return control.load(fromByteOffset: 16, as: Int32.self)
        #else
            return nil
        #endif
    }
}
