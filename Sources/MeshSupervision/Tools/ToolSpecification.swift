public import MeshEvents

/// A tool: a program that a ``ToolSupervisor`` keeps running.
public struct ToolSpecification: Sendable, Hashable, CustomStringConvertible {
    /// Its name: letters, digits, `-`, `_` and `.`, at most 64, a letter or digit first.
    public var name: String
    /// Its version; empty when it has none.
    public var version: String
    /// The program and its arguments, passed on unchanged: no shell is involved. A name without `/` is searched for in
    /// the `PATH` that the tool will have, a relative path in its directory.
    public var command: [String]
    /// Environment variables of its own; they win over all others.
    public var environment: [String: String]
    /// Its working directory; `nil` for the supervisor's.
    public var directory: String?
    /// Its configuration, an object, or null for none. The tool gets it as JSON in `JB_TOOL_CONFIG`.
    public var configuration: EventData
    /// The names of variables that it gets from the supervisor's environment, besides those that every tool gets.
    public var inherit: Set<String>
    /// Keys of the configuration whose values are published in `tool.configured`; other strings appear there as
    /// `(string)`. A key's name at any depth, or its path (`database.host`). See ``Redaction``.
    public var publish: Set<String>
    /// Keys of the configuration whose values are never published, besides those that ``Redaction`` knows, in the same
    /// notation.
    public var secrets: Set<String>
    /// Texts that are never published, wherever they occur: values of environment variables.
    public var confidential: Set<String>
    /// When and how often it is started again after it ended by itself; it does not count for a tool with a schedule.
    public var restart: RestartPolicy
    /// Whether it is started with its node. One with a ``schedule`` is started at its times in any case.
    public var autostart: Bool
    /// How long it may take to end after its ``stopSignal``, before it is killed. The default is 10 seconds.
    public var gracePeriod: Duration
    /// How many of the last lines of its standard error, or of standard output when that has none, `tool.crashed` publishes,
    /// without secrets: from 0, none, to 200. The default is 20. All lines together have at most 4 KiB.
    public var crashOutput: Int
    /// How much of its output is kept in files, when its supervisor keeps logs. The default is 3 files of 4 MiB.
    public var logs: ToolLogSettings
    /// How its supervisor finds out whether it works. The default watches only its process.
    public var health: ToolHealth
    /// The signal that asks it to end; the default is `SIGTERM`.
    public var stopSignal: StopSignal
    /// Its priority, processors, file mode mask, resource limits and user.
    public var process: ToolProcessSettings
    /// The most memory that it may use; `nil` for no limit.
    public var memory: ToolMemoryLimit?
    /// The tools after which it is started.
    public var after: ToolDependencies
    /// When it is started, for a tool that runs and ends; `nil` for one that is kept running.
    public var schedule: ToolSchedule?
    /// The signal at which its program reads its configuration again; `nil` when it is not said that it does. No signal is
    /// taken for granted: one that a program does not handle ends it.
    public var reloadSignal: ToolSignal?

    /// Creates a specification.
    public init(
        name: String,
        version: String = "",
        command: [String],
        environment: [String: String] = [:],
        directory: String? = nil,
        configuration: EventData = nil,
        inherit: Set<String> = [],
        publish: Set<String> = [],
        secrets: Set<String> = [],
        confidential: Set<String> = [],
        restart: RestartPolicy = RestartPolicy(),
        autostart: Bool = true,
        gracePeriod: Duration = .seconds(10),
        crashOutput: Int = 20,
        logs: ToolLogSettings = ToolLogSettings(),
        health: ToolHealth = ToolHealth(),
        stopSignal: StopSignal = .term,
        process: ToolProcessSettings = ToolProcessSettings(),
        memory: ToolMemoryLimit? = nil,
        after: ToolDependencies = [],
        schedule: ToolSchedule? = nil,
        reloadSignal: ToolSignal? = nil
    ) {
        self.name = name
        self.version = version
        self.command = command
        self.environment = environment
        self.directory = directory
        self.configuration = configuration
        self.inherit = inherit
        self.publish = publish
        self.secrets = secrets
        self.confidential = confidential
        self.restart = restart
        self.autostart = autostart
        self.gracePeriod = gracePeriod
        self.crashOutput = crashOutput
        self.logs = logs
        self.health = health
        self.stopSignal = stopSignal
        self.process = process
        self.memory = memory
        self.after = after
        self.schedule = schedule
        self.reloadSignal = reloadSignal
    }

    /// Whether its node starts it, at once or at its times. What has a schedule is not started with its node, so
    /// ``autostart`` says nothing of it.
    var startsByItself: Bool { autostart || schedule != nil }

    /// Whether it does its work and ends, and is not kept running: it has a schedule, or is never restarted, and nothing
    /// asks whether it works while it runs.
    var runsAndEnds: Bool { schedule != nil || restart.mode == .never && !health.isWatched }

    /// The configuration as it may be published.
    public var publishedConfiguration: EventData { redaction().redact(configuration) }

    /// The redaction for its configuration and for texts about it.
    ///
    /// - Parameter available: the variables that it may inherit.
    func redaction(_ available: [String: String] = [:]) -> Redaction {
        Redaction(published: publish, secrets: secrets, confidential: confidentialTexts(available))
    }

    /// The texts that are never published: of its variables, and of the secret keys of its configuration.
    ///
    /// - Parameter available: the variables that it may inherit.
    func confidentialTexts(_ available: [String: String]) -> Set<String> {
        let inherited = inherit.compactMap { available[$0] }
        let named = environment.filter { Redaction.namesSecret($0.key) }.map(\.value)
        let keys = Redaction(published: publish, secrets: secrets)
        return confidential.union(inherited).union(named).union(keys.secretTexts(of: configuration))
    }

    /// Name, version and program; neither arguments nor values, which may be secret.
    public var description: String {
        "\(name)\(version.isEmpty ? "" : " \(version)") (\(command.first ?? "no command"))"
    }

    /// Checks all rules.
    ///
    /// - Throws: `invalidSpecification`, with the first rule that is broken.
    public func validate() throws(ToolError) {
        if let problem = Self.problem(inName: name) { throw invalid(problem) }
        guard let program = command.first, !program.isEmpty else { throw invalid("needs a command") }
        // C strings end at a zero byte: the rest would silently be lost.
        if command.contains(where: Self.hasZero) { throw invalid("has a zero byte in its command") }
        for (name, value) in environment {
            if name.isEmpty || name.contains("=") || Self.hasZero(name) {
                throw invalid("has an environment variable named '\(name)'; names are not empty and hold no '='")
            }
            if Self.hasZero(value) { throw invalid("has a zero byte in the environment variable \(name)") }
        }
        if let name = inherit.first(where: { $0.isEmpty || $0.contains("=") || Self.hasZero($0) }) {
            throw invalid("inherits a variable named '\(name)'; names are not empty and hold no '='")
        }
        if let directory, directory.isEmpty || Self.hasZero(directory) { throw invalid("has no usable directory") }
        do {
            try configuration.validate()
        } catch {
            throw invalid("has a configuration that is no JSON object: \(error.message)")
        }
        if gracePeriod < .zero { throw invalid("has a negative grace period") }
        if !(0...CrashOutput.maximumLines).contains(crashOutput) {
            throw invalid("publishes 0 to \(CrashOutput.maximumLines) lines of output with a crash, not \(crashOutput)")
        }
        if let problem = logs.problem { throw invalid(problem) }
        if let problem = health.problem { throw invalid(problem) }
        let policy = restart
        if policy.initialDelay <= .zero || policy.maximumDelay < policy.initialDelay || policy.maximumRestarts < 0 {
            throw invalid("has a restart policy whose delays are not positive and growing, or a negative limit")
        }
        if let within = policy.within, within <= .zero { throw invalid("counts its restarts within no time") }
        if let problem = process.problem ?? schedule?.problem { throw invalid(problem) }
        if let memory, memory.maximum < ToolMemoryLimit.minimum {
            throw invalid("has a limit of its memory below 1 MiB, in which no program runs")
        }
        if after.within <= .zero { throw invalid("waits no time for the tools after which it is started") }
        if after.names.contains(name) { throw invalid("is to be started after itself") }
    }

    /// What is wrong with a name; `nil` when it is valid.
    static func problem(inName name: String) -> String? {
        let isGood = name.unicodeScalars.allSatisfy {
            $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || "-_.".unicodeScalars.contains($0))
        }
        let isGoodFirst = name.first.map { $0 != "-" && $0 != "_" && $0 != "." } ?? false
        return isGood && isGoodFirst && name.utf8.count <= 64
            ? nil : "a name has letters, digits, '-', '_' and '.', at most 64, a letter or digit first"
    }

    private static func hasZero(_ text: String) -> Bool { text.utf8.contains(0) }

    private func invalid(_ problem: String) -> ToolError {
        ToolError(.invalidSpecification, tool: name, problem)
    }
}
