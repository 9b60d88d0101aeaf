import MeshAlerts
import MeshEvents
import ProcessGuard

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A program of this machine that tells of an alert.
///
/// No shell is involved. In its arguments `{title}`, `{body}`, `{severity}`, `{status}`, `{rule}`, `{group}`, `{reason}`,
/// `{link}` and `{id}` stand for the notification's fields; `rule`, `group` and `reason` are those of its first alert. `{{`
/// stands for a brace. An argument that begins with such a field gets a space before its text when that begins with `-`, `+` or
/// `@`: what an event says cannot become an option, or the name of a file that the program reads.
///
/// The program gets on standard input the notification as one line of JSON, as `data` of ``WebhookConfiguration`` has it, and
/// these variables: `MESH_ALERT_TITLE`, `_BODY`, `_SEVERITY`, `_STATUS`, `_RULE`, `_GROUP`, `_REASON`, `_LINK`, `_ID`, and
/// `MESH_ALERT_TEST` (`true` or `false`). Of this process's environment it gets what every tool gets (`PATH`, `HOME`, `TMPDIR`,
/// `TZ`, `LANG`, `LC_…`), `USER`, `LOGNAME` and the variables of proxies: the secrets of other targets are not in it.
///
/// Exit code 0 is a success; after every other end the notification can be sent again. What the program prints is thrown away,
/// because it can hold secrets. At the time-out the program and all processes of its group get SIGTERM, and SIGKILL two seconds
/// later.
///
/// **Secrets.** Each user of a machine sees the arguments of its processes. So a secret belongs into ``environment``, and an
/// argument that holds the value of a `${VARIABLE}` is refused: ``Argument/isConfidential`` says which do.
public struct CommandTargetConfiguration: Sendable, Hashable, CustomStringConvertible {
    /// An argument, with places for fields.
    public struct Argument: Sendable, Hashable, ExpressibleByStringLiteral, CustomStringConvertible, CustomReflectable {
        /// The text, with places for fields.
        public var text: String
        /// Whether it holds the value of a `${VARIABLE}`, which must not be seen in the list of processes.
        public var isConfidential: Bool

        /// Creates an argument.
        public init(_ text: String, isConfidential: Bool = false) {
            self.text = text
            self.isConfidential = isConfidential
        }

        /// Creates an argument that holds no secret.
        public init(stringLiteral value: String) { self.init(value) }

        /// No text: an argument can hold a secret.
        public var description: String { "[argument]" }
        /// Nothing of it.
        public var customMirror: Mirror { Mirror(self, children: []) }
    }

    /// The most arguments.
    public static let maximumArguments = 100
    /// The most bytes of an argument, before and after its fields are filled in.
    public static let maximumArgument = 65_536

    let program: String
    let arguments: [CommandTemplate]
    private let ownVariables: [String: Secret]
    /// How long a run may take.
    public let timeout: Duration
    /// What is worth a warning, for people.
    public let warnings: [String]

    /// The names of the variables that the program gets besides those of every command.
    public var environment: [String] { ownVariables.keys.sorted() }

    /// Creates a configuration.
    ///
    /// - Parameters:
    ///   - command: the program, a path or a name in the search path, and its arguments. The program has no fields in it.
    ///   - environment: more variables for the program: the place for secrets. Names are letters, digits and `_`, and do not
    ///     begin with `MESH_ALERT_`.
    ///   - timeout: how long a run may take, 100 ms to 10 minutes.
    /// - Throws: when there is no program, an argument is confidential, too long or has an unknown field, or a name of a variable
    ///   is none.
    public init(
        _ command: [Argument],
        environment: [String: String] = [:],
        timeout: Duration = .seconds(15)
    ) throws(NotifierConfigurationError) {
        guard let program = command.first?.text, !program.isEmpty else {
            throw NotifierConfigurationError("the command is empty: give the program and its arguments")
        }
        guard command.count <= Self.maximumArguments else {
            throw NotifierConfigurationError("a command has at most \(Self.maximumArguments) arguments")
        }
        var templates: [CommandTemplate] = []
        var warnings: [String] = []
        for (number, argument) in command.enumerated() {
            let place = number == 0 ? "the command's program" : "argument \(number) of the command"
            guard !argument.isConfidential else {
                throw NotifierConfigurationError(
                    "\(place) holds the value of a variable, which each user of the machine could see in the list of "
                        + "processes; pass it in the command's environment"
                )
            }
            guard argument.text.utf8.count <= Self.maximumArgument, !argument.text.utf8.contains(0) else {
                throw NotifierConfigurationError("\(place) has more than \(Self.maximumArgument) bytes, or a NUL in it")
            }
            if argument.text.contains(/:\/\/[^\/\s]*:[^\/\s]*@/) {
                warnings.append(
                    "\(place) holds a login, which each user of the machine sees in the list of processes; pass it in the "
                        + "command's environment"
                )
            }
            templates.append(try CommandTemplate(argument.text))
        }
        guard templates[0].isConstant else {
            throw NotifierConfigurationError("the command's program cannot be a field of an alert")
        }
        for name in environment.keys where !Self.isName(name) {
            throw NotifierConfigurationError(
                "\(name.oneLine.debugDescription) is no name of a command's variable: it is letters, digits and _, and does "
                    + "not begin with MESH_ALERT_"
            )
        }
        self.program = program
        arguments = Array(templates.dropFirst())
        ownVariables = environment.mapValues { Secret($0) }
        self.timeout = try TargetTimeout.checked(timeout)
        self.warnings = warnings
    }

    private static func isName(_ name: String) -> Bool {
        name.wholeMatch(of: /[A-Za-z_][A-Za-z0-9_]{0,254}/) != nil && !name.hasPrefix("MESH_ALERT_")
    }

    /// All variables of a run.
    ///
    /// - Parameter inherited: the environment of this process.
    func variables(_ notification: AlertNotification, inherited: [String: String]) -> [String: String] {
        var variables = inherited.filter { name, _ in
            Self.inheritedNames.contains(name) || name.hasPrefix("LC_")
                || ["http_proxy", "https_proxy", "no_proxy"].contains(name.lowercased())
        }
        for (name, value) in ownVariables { variables[name] = value.text }
        for field in CommandTemplate.Field.allCases {
            variables["MESH_ALERT_\(field.rawValue.uppercased())"] = field.text(notification)
        }
        variables["MESH_ALERT_TEST"] = notification.isTest ? "true" : "false"
        return variables
    }

    private static let inheritedNames: Set<String> = ["PATH", "HOME", "TMPDIR", "TZ", "LANG", "USER", "LOGNAME"]

    /// The values that must not be shown.
    var secrets: [String] { ownVariables.values.map(\.text) }

    /// `command apprise`.
    public var description: String { "command \(program.split(separator: "/").last.map(String.init) ?? program)" }
}

/// Runs a program.
struct CommandNotifier: AlertNotifier {
    /// The most bytes of all arguments and variables: less than every system takes.
    private static let longestCommand = 512 * 1_024

    let configuration: CommandTargetConfiguration

    func notify(_ notification: AlertNotification) async throws(NotificationFailure) -> String {
        let name = configuration.description
        let arguments = try arguments(notification)
        let own = ProcessInfo.processInfo.environment
        let variables = configuration.variables(notification, inherited: own)
        let size = (arguments + variables.keys + variables.values).reduce(0) { $0 + $1.utf8.count + 16 }
        guard size <= Self.longestCommand else {
            throw NotificationFailure("\(name): its arguments and variables have more than 512 KiB", isFinal: true)
        }
        let command: GroupedCommand
        do throws(GroupedCommand.Unusable) {
            command = try GroupedCommand(
                configuration.program,
                timeout: configuration.timeout,
                searchPath: variables["PATH"] ?? "/usr/bin:/bin"
            )
        } catch {
            throw NotificationFailure("\(name) \(error)".cut(to: 500))
        }
        let outcome = await command.run(
            arguments,
            input: JSONValue.object(AlertJSON.object(notification)).description + "\n",
            environment: .only(variables),
            output: .discarded
        )
        guard let problem = outcome.problem else { return "exit code 0" }
        throw NotificationFailure(Redaction(configuration.secrets).redact("\(name) \(problem)").oneLine.cut(to: 500))
    }

    /// The arguments for a notification.
    ///
    /// - Throws: when one is longer than ``CommandTargetConfiguration/maximumArgument``.
    func arguments(_ notification: AlertNotification) throws(NotificationFailure) -> [String] {
        var filled: [String] = []
        for (number, template) in configuration.arguments.enumerated() {
            let argument = template.filled(notification)
            guard argument.utf8.count <= CommandTargetConfiguration.maximumArgument else {
                throw NotificationFailure(
                    "\(configuration.description): argument \(number + 1) has more than "
                        + "\(CommandTargetConfiguration.maximumArgument) bytes",
                    isFinal: true
                )
            }
            filled.append(argument)
        }
        return filled
    }
}
