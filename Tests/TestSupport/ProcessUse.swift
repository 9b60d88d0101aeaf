import Foundation

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// What a process takes of the system, as Linux tells it.
public struct ProcessUse: Sendable {
    /// Resident memory, in bytes.
    public var residentBytes: Int
    /// The most it has been, in bytes.
    public var peakResidentBytes: Int
    /// How many file descriptors are open.
    public var descriptors: Int
    /// How many threads there are.
    public var threads: Int
    /// How long processors have worked for it so far, in hundredths of a second's steps.
    public var processorTime: Duration

    /// Asks about this process, or another.
    ///
    /// - Throws: `TestSupportError` when the system does not tell.
    public init(of pid: Int32? = nil) throws {
        let directory = pid.map { "/proc/\($0)" } ?? "/proc/self"
        guard let status = FileManager.default.contents(atPath: directory + "/status"),
            let descriptors = try? FileManager.default.contentsOfDirectory(atPath: directory + "/fd").count
        else { throw TestSupportError("There is no \(directory): these figures exist on Linux only.") }
        let lines = String(decoding: status, as: UTF8.self).split(separator: "\n")
        func number(_ name: String) throws -> Int {
            let fields = lines.first { $0.hasPrefix(name + ":") }?.split(whereSeparator: \.isWhitespace) ?? []
            guard fields.count > 1, let value = Int(fields[1]) else {
                throw TestSupportError("\(directory)/status says nothing of \(name).")
            }
            return value
        }
        residentBytes = try number("VmRSS") * 1024
        peakResidentBytes = try number("VmHWM") * 1024
        threads = try number("Threads")
        // Behind the name in parentheses, which may hold anything: state, ten numbers, then ticks in the program and in the
        // system.
        let stat =
            FileManager.default.contents(atPath: directory + "/stat").map { String(decoding: $0, as: UTF8.self) } ?? ""
        let ticks = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ").dropFirst(12).prefix(2)
        let sum = ticks.compactMap { Int($0) }
        guard sum.count == 2 else { throw TestSupportError("\(directory)/stat says nothing of processor time.") }
        processorTime = .seconds(1) * sum.reduce(0, +) / max(sysconf(Int32(_SC_CLK_TCK)), 1)
        self.descriptors = descriptors
    }
}
