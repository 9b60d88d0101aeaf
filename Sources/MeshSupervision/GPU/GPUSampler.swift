import Foundation
public import Logging
import MeshConcurrency
import MeshEvents
import MeshLogging
import ProcessGuard
public import ServiceLifecycle

/// Asks the programs of GPUs' makers how the GPUs are used and which processes hold memory on them: `nvidia-smi` and `rocm-smi`,
/// when they are in the `PATH`.
///
/// A program that is missing costs nothing. One that does not answer within the deadline is killed with all that it started;
/// the log says so once, and it is asked less and less often until it answers again. A ``MeshNode`` runs the sampler of its
/// configuration. Without a node, run it as a service:
///
/// ```swift
/// let gpus = GPUSampler(logger: logger)
/// let supervisor = ToolSupervisor(environment: environment, logger: logger, gpus: gpus) { event in print(event) }
/// try await ServiceGroup(services: [gpus, supervisor], logger: logger).run()
/// ```
public final class GPUSampler: Service {
    /// How a vendor's program is asked.
    struct Vendor: Sendable {
        let program: String
        let queries: [[String]]
        let report: @Sendable ([GPUAnswer]) -> GPUReport
        /// Files that are there when the machine has such a GPU.
        let signs: [String]
        /// Files that the program needs.
        let devices: [String]

        static let all = [
            Vendor(
                program: NvidiaSMI.program,
                queries: NvidiaSMI.queries,
                report: NvidiaSMI.report,
                signs: ["/proc/driver/nvidia/version", "/sys/module/nvidia", "/dev/nvidiactl"],
                devices: ["/dev/nvidiactl", "/dev/dxg"]
            ),
            Vendor(
                program: RocmSMI.program,
                queries: RocmSMI.queries,
                report: RocmSMI.report,
                signs: ["/sys/class/kfd", "/dev/kfd"],
                devices: ["/dev/kfd"]
            ),
        ]
    }

    /// What is known of one vendor's program.
    private struct Source: Sendable {
        var report = GPUReport()
        /// How often it has failed in a row.
        var failures = 0
        /// When it may be asked again.
        var next: ContinuousClock.Instant?
        /// Whether it was said that it is missing or fails.
        var isSaid = false
        /// A run that could not be killed: no other one is started before it has ended.
        var stuck: SupervisedProcess?
    }

    /// The longest pause between two attempts.
    private static let longestPause: Duration = .seconds(600)
    /// The most bytes of an answer that are kept.
    private static let answerBytes = 512 << 10

    private let interval: Duration
    private let deadline: Duration
    private let searchPath: String?
    private let vendors: [Vendor]
    private let logger: Logger
    private let sources: Locked<[Source]>

    /// Creates a sampler.
    ///
    /// - Parameters:
    ///   - interval: the pause between two questions; 10 s by default. A node asks at its own interval.
    ///   - deadline: how long an answer may take; 2 s by default.
    ///   - searchPath: where the programs are looked for, directories with colons between them; `nil` for `PATH`.
    ///   - logger: is told once when a program fails, and when it answers again.
    public convenience init(
        interval: Duration = .seconds(10),
        deadline: Duration = .seconds(2),
        searchPath: String? = nil,
        logger: Logger = Logger(label: "mesh-events.gpu")
    ) {
        self.init(
            interval: interval,
            deadline: deadline,
            searchPath: searchPath,
            vendors: Vendor.all,
            logger: logger
        )
    }

    init(interval: Duration, deadline: Duration, searchPath: String?, vendors: [Vendor], logger: Logger) {
        self.interval = interval
        self.deadline = deadline
        self.searchPath = searchPath
        self.vendors = vendors
        self.logger = logger
        sources = Locked(Array(repeating: Source(), count: vendors.count))
    }

    /// The GPUs by the last answers; empty when there are none, or their programs do not answer.
    public var devices: [GPUDevice] { report.devices }

    /// All that the last answers say.
    var report: GPUReport { sources.withLock { $0.reduce(GPUReport()) { $0.adding($1.report) } } }

    /// Asks again and again, until the graceful shutdown of its service group or cancellation.
    public func run() async {
        await cancelWhenGracefulShutdown { await self.run(every: self.interval) }
    }

    func run(every interval: Duration) async {
        repeat { await ask(every: interval) } while (try? await Task.sleep(for: interval)) != nil
    }

    /// Asks each program once whose turn it is.
    func ask(every interval: Duration) async {
        for index in vendors.indices {
            guard !Task.isCancelled else { return }
            let isDue = sources.withLock { sources in
                if let stuck = sources[index].stuck, stuck.end == nil { return false }
                sources[index].stuck = nil
                return sources[index].next.map { $0 <= .now } ?? true
            }
            if isDue { await ask(index, every: interval) }
        }
    }

    private func ask(_ index: Int, every interval: Duration) async {
        let vendor = vendors[index]
        guard let path = find(vendor.program) else { return note(missing: index) }
        var answers: [GPUAnswer] = []
        var problem: String?
        for query in vendor.queries {
            switch await answer(path, query, index) {
            case .success(let answer): answers.append(answer)
            case .failure(let failure):
                if let partial = failure.partial { answers.append(partial) }
                problem = problem ?? failure.reason
            }
            // One that hangs would hang again.
            if problem != nil { break }
        }
        guard !Task.isCancelled else { return }
        let report = vendor.report(answers)
        if problem == nil, report.devices.isEmpty {
            let said = answers.first?.lines.first { !$0.isEmpty }
            problem = "it names no GPU" + (said.map { ": \(Self.cut($0))" } ?? "")
        }
        note(index, report, problem, interval)
    }

    // MARK: What is known

    private func note(missing index: Int) {
        let vendor = vendors[index]
        let isNews = sources.withLock { sources in
            let isNews = !sources[index].isSaid
            sources[index] = Source(isSaid: true)
            return isNews
        }
        guard isNews else { return }
        let hasGPU = vendor.signs.contains { Self.exists($0) }
        logger.log(
            level: hasGPU ? .notice : .debug,
            "\(vendor.program) is not in the PATH; the figures of its GPUs are left out"
        )
    }

    private func note(_ index: Int, _ report: GPUReport, _ problem: String?, _ interval: Duration) {
        let vendor = vendors[index]
        let (wasSaid, isFirst) = sources.withLock { sources in
            let before = sources[index]
            sources[index].report = report
            guard problem != nil else {
                sources[index].failures = 0
                sources[index].next = nil
                sources[index].isSaid = false
                return (before.isSaid && before.failures > 0, false)
            }
            sources[index].failures += 1
            let pause = interval * (1 << min(sources[index].failures, 10))
            sources[index].next = .now + min(pause, max(Self.longestPause, interval))
            sources[index].isSaid = true
            return (false, !before.isSaid || before.failures == 0)
        }
        if let problem, isFirst {
            let isHidden = vendor.signs.contains { Self.exists($0) } && !vendor.devices.contains { Self.exists($0) }
            let advice = isHidden ? " (its devices are hidden from this process: see the unit's drop-in gpu.conf)" : ""
            logger.warning(
                "\(vendor.program) fails, and is asked less often from now on: \(Redaction().redact(problem))\(advice)"
            )
        } else if wasSaid {
            logger.notice("\(vendor.program) answers again")
        }
    }

    // MARK: Asking

    private struct Failure: Error {
        var reason: String
        /// What it had written.
        var partial: GPUAnswer?
    }

    /// Runs the program once.
    private func answer(_ path: String, _ arguments: [String], _ index: Int) async -> Result<GPUAnswer, Failure> {
        var limits = OutputLimits()
        // One that is cut is longer than what is kept of an answer, which is not whole then.
        limits.lineLength = Self.answerBytes + 64
        limits.passesExcess = true
        limits.bytesPerSecond = Self.answerBytes
        limits.linesPerSecond = 10_000
        let command = SupervisedProcess.Command(
            executable: path,
            arguments: arguments,
            environment: Self.environment,
            directory: "/",
            limits: limits
        )
        let output = Locked((lines: [String](), bytes: 0, isWhole: true, last: [ProcessOutput.Stream: String]()))
        let process: SupervisedProcess
        do {
            process = try await SupervisedProcess.launch(command) { piece in
                output.withLock { output in
                    switch piece {
                    case .line(let stream, let line), .excess(let stream, let line):
                        if line.contains(where: { !$0.isWhitespace }) { output.last[stream] = Self.cut(line) }
                        guard stream == .stdout else { return }
                        output.bytes += line.utf8.count
                        if case .line = piece, output.bytes <= Self.answerBytes {
                            output.lines.append(line)
                        } else {
                            output.isWhole = false
                        }
                    case .dropped: output.isWhole = false
                    }
                }
            }
        } catch {
            return .failure(Failure(reason: error.description))
        }
        let end = try? await process.waitForEndUnlessCancelled(atMost: deadline)
        guard let end else {
            process.kill()
            let isOver = await uncancelled {
                (try? await process.waitForEndUnlessCancelled(atMost: .seconds(5))) ?? nil
            }
            // It may wait in the kernel, where nothing can kill it.
            if isOver == nil { sources.withLock { $0[index].stuck = process } }
            let partial = output.withLock { GPUAnswer(lines: $0.lines, isWhole: false) }
            return .failure(Failure(reason: "it does not answer within \(deadline)", partial: partial))
        }
        let (lines, isWhole, last) = output.withLock { ($0.lines, $0.isWhole, $0.last) }
        guard end == .exited(code: 0) else {
            // nvidia-smi writes its errors on standard output, after what it could find out, and adds its versions.
            let first = lines.first { !$0.isEmpty }.map { Self.cut($0) }
            let later = last[.stdout].flatMap { $0 == first ? nil : $0 }
            let said = last[.stderr] ?? [first, later].compactMap(\.self).joined(separator: " … ")
            let reason =
                switch end {
                case .exited(let code): "it exits with code \(code)"
                case .signaled(let signal): "signal \(signal) ends it"
                case .notLaunched(let reason): reason
                }
            return .failure(
                Failure(
                    reason: said.isEmpty ? reason : "\(reason): \(said)",
                    partial: GPUAnswer(lines: lines, isWhole: false)
                )
            )
        }
        return .success(GPUAnswer(lines: lines, isWhole: isWhole))
    }

    private func find(_ program: String) -> String? {
        let path = searchPath ?? ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(program)" }.first {
            $0.hasPrefix("/") && FileManager.default.isExecutableFile(atPath: $0)
        }
    }

    /// No secrets of this process; the language of its answers is the one that is read here.
    private static var environment: [String: String] {
        let inherited = ProcessInfo.processInfo.environment
        var environment = ["LC_ALL": "C", "PATH": inherited["PATH"] ?? "/usr/bin:/bin"]
        for name in ["HOME", "LD_LIBRARY_PATH", "TMPDIR"] { environment[name] = inherited[name] }
        return environment
    }

    private static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    private static func cut(_ text: String) -> String { text.abridged(bytes: 200) }
}
