import Foundation
import TestSupport

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A terminal of a chosen width, to see what a command shows on one.
final class PseudoTerminal {
    private let controller: Int32
    /// The side a command gets.
    let handle: FileHandle

    init(width: Int) throws {
        controller = open("/dev/ptmx", O_RDWR | O_NOCTTY)
        guard controller >= 0, let name = Self.otherSide(of: controller) else {
            throw TestSupportError("There are no pseudo terminals here.")
        }
        let side = open(name, O_RDWR | O_NOCTTY)
        handle = FileHandle(fileDescriptor: side, closeOnDealloc: true)
        var size = winsize(ws_row: 24, ws_col: UInt16(width), ws_xpixel: 0, ws_ypixel: 0)
        guard side >= 0, ioctl(side, UInt(TIOCSWINSZ), &size) == 0 else {
            throw TestSupportError("The pseudo terminal takes no size.")
        }
        _ = fcntl(controller, F_SETFL, O_NONBLOCK)
    }

    deinit { close(controller) }

    /// Types on it, as a person does.
    func type(_ text: String) {
        let bytes = Array(text.utf8)
        _ = bytes.withUnsafeBytes { write(controller, $0.baseAddress, $0.count) }
    }

    private var shown = ""

    /// Everything shown so far.
    func text() -> String {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(controller, &buffer, buffer.count)
            guard count > 0 else { return shown }
            shown += String(decoding: buffer[..<count], as: UTF8.self)
        }
    }

    /// The lines shown, without escape sequences.
    func plainLines() -> [String] {
        text().replacing(/\u{1B}\[[0-9;]*[A-Za-z]/, with: "")
            .split(whereSeparator: \.isNewline).map(String.init)
    }

    private static func otherSide(of controller: Int32) -> String? {
        #if canImport(Darwin)
            guard grantpt(controller) == 0, unlockpt(controller) == 0 else { return nil }
            return ptsname(controller).map { String(cString: $0) }
        #else
            // TIOCSPTLCK and TIOCGPTN: what unlockpt and ptsname do, which Swift does not see.
            var lock: Int32 = 0
            var number: UInt32 = 0
            guard ioctl(controller, 0x4004_5431, &lock) == 0, ioctl(controller, 0x8004_5430, &number) == 0 else {
                return nil
            }
            return "/dev/pts/\(number)"
        #endif
    }
}
