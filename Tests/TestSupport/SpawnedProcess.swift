public import Foundation
import MeshConcurrency

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A process of a test; killed with the last reference.
///
/// Not Foundation's `Process`: on Linux its `run` copies whole directory entries of /proc/self/fd although they are shorter,
/// and was seen to read beyond the memory there is, which ends the test run.
public final class SpawnedProcess: Sendable {
    /// Its process id.
    public let pid: Int32
    /// The exit code, or the negative number of the signal that ended it; `nil` while it runs.
    private let ending = Locked<Int32?>(nil)

    /// Starts a program, in a process group of its own, with no descriptor but these.
    ///
    /// - Parameters:
    ///   - program: its path.
    ///   - arguments: behind the program's name.
    ///   - environment: all of it; `nil` for that of the tests.
    ///   - directory: where it works; `nil` for where the tests do.
    ///   - input: its standard input; nothing when `nil`, as with the others.
    ///   - output: its standard output.
    ///   - error: its standard error.
    public init(
        _ program: String,
        _ arguments: [String] = [],
        environment: [String: String]? = nil,
        directory: String? = nil,
        input: FileHandle? = nil,
        output: FileHandle? = nil,
        error: FileHandle? = nil
    ) throws {
        #if canImport(Darwin)
            var actions: posix_spawn_file_actions_t?
            var attributes: posix_spawnattr_t?
        #else
            var actions = posix_spawn_file_actions_t()
            var attributes = posix_spawnattr_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        let nothing = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { close(nothing) }
        for (number, handle) in [input, output, error].enumerated() {
            posix_spawn_file_actions_adddup2(&actions, handle?.fileDescriptor ?? nothing, Int32(number))
        }
        if let directory { try SpawnActions.work(in: directory, &actions) }
        var flags = Int32(POSIX_SPAWN_SETPGROUP) | Int32(POSIX_SPAWN_SETSIGDEF) | Int32(POSIX_SPAWN_SETSIGMASK)
        #if canImport(Darwin)
            flags |= Int32(POSIX_SPAWN_CLOEXEC_DEFAULT)
        #else
            try SpawnActions.close(from: 3, &actions)
        #endif
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(flags))
        let values = (environment ?? ProcessInfo.processInfo.environment).map { "\($0)=\($1)" }
        var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = values.map { strdup($0) } + [nil]
        defer { for text in words + variables { free(text) } }
        var pid: pid_t = 0
        let failure = posix_spawn(&pid, program, &actions, &attributes, &words, &variables)
        guard failure == 0 else {
            throw TestSupportError("\(program) cannot be started: \(String(cString: strerror(failure)))")
        }
        self.pid = pid
    }

    deinit {
        guard isRunning else { return }
        kill(pid, SIGKILL)
        waitUntilExit()
    }

    /// Runs a program to its end; what it printed on both outputs.
    ///
    /// - Throws: `TestSupportError` with that when it ends with another code than 0.
    @discardableResult
    public static func run(_ program: String, _ arguments: [String] = []) throws -> String {
        let (code, text) = try outcome(of: program, arguments)
        guard code == 0 else { throw TestSupportError("\(program) ended with \(code): \(text)") }
        return text
    }

    /// Runs a program to its end; its code, and what it printed on both outputs.
    public static func outcome(of program: String, _ arguments: [String] = []) throws -> (code: Int32, text: String) {
        let directory = try TemporaryDirectory()
        let output = try directory.outputFile("output")
        let process = try SpawnedProcess(program, arguments, output: output, error: output)
        let code = process.waitUntilExit()
        return (code, try directory.text(of: "output"))
    }

    /// The exit code, or the negative number of the signal that ended it; `nil` while it runs.
    public var code: Int32? { look(WNOHANG) }

    /// Whether it has not ended.
    public var isRunning: Bool { code == nil }

    /// Sends it a signal, unless it has ended.
    public func signal(_ number: Int32) {
        ending.withLock { if $0 == nil { kill(pid, number) } }
    }

    /// Waits for its end, on this thread; its code.
    @discardableResult
    public func waitUntilExit() -> Int32 { look(0) ?? -1 }

    private func look(_ options: Int32) -> Int32? {
        ending.withLock { ending in
            if let ending { return ending }
            var status: Int32 = 0
            var found: Int32
            repeat { found = waitpid(pid, &status, options) } while found < 0 && errno == EINTR
            guard found != 0 else { return nil }
            // WIFEXITED and the like, which Swift does not see.
            let signal = status & 0x7F
            ending = found < 0 ? -1 : signal == 0 ? (status >> 8) & 0xFF : -signal
            return ending
        }
    }
}

/// Functions of the C library that Swift does not see on Linux.
private enum SpawnActions {
    #if canImport(Darwin)
        static func work(in directory: String, _ actions: inout posix_spawn_file_actions_t?) throws {
            posix_spawn_file_actions_addchdir_np(&actions, directory)
        }
    #else
        private typealias Actions = UnsafeMutablePointer<posix_spawn_file_actions_t>
        private typealias AddDirectory = @convention(c) (Actions, UnsafePointer<CChar>) -> Int32
        private typealias AddClosing = @convention(c) (Actions, Int32) -> Int32

        static func work(in directory: String, _ actions: inout posix_spawn_file_actions_t) throws {
            let add = try unsafeBitCast(function("posix_spawn_file_actions_addchdir_np"), to: AddDirectory.self)
            _ = add(&actions, directory)
        }

        static func close(from number: Int32, _ actions: inout posix_spawn_file_actions_t) throws {
            let add = try unsafeBitCast(function("posix_spawn_file_actions_addclosefrom_np"), to: AddClosing.self)
            _ = add(&actions, number)
        }

        private static func function(_ name: String) throws -> UnsafeMutableRawPointer {
            guard let function = dlsym(nil, name) else { throw TestSupportError("The C library has no \(name).") }
            return function
        }
    #endif
}
