import ProcessGuard

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Why an operation on a tool failed, with a sentence that says what to do about it.
public struct ToolError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What went wrong.
    public enum Code: String, Sendable {
        /// No tool of that name is installed.
        case notInstalled
        /// A tool of that name is installed already.
        case alreadyInstalled
        /// The specification breaks a rule of ``ToolSpecification``.
        case invalidSpecification
        /// There is no such program.
        case commandNotFound
        /// The program exists, but may not be run or is no program.
        case notExecutable
        /// The working directory is missing, or is no directory.
        case directoryNotFound
        /// The system refused to start the program.
        case launchFailed
        /// The supervisor was shut down.
        case shutDown
        /// There is no process that could get a signal.
        case notRunning
        /// Its specification does not say how it reads its configuration again.
        case cannotReload
    }

    /// What went wrong.
    public let code: Code
    /// The tool's name.
    public let tool: String
    /// A sentence for users: what went wrong and what to do. It does not begin with the tool's name.
    public let message: String
    /// Whether its node had too few file descriptors to start it: that is no failure of the tool.
    let lacksDescriptors: Bool

    init(_ code: Code, tool: String, _ message: String, lacksDescriptors: Bool = false) {
        self.code = code
        self.tool = tool
        self.message = message
        self.lacksDescriptors = lacksDescriptors
    }

    /// The tool's name and the message.
    public var description: String { "tool \(tool): \(message)" }

    /// - Parameters:
    ///   - tool: the name of a tool that is not installed.
    ///   - names: those of the tools that are, among which the error finds its instances.
    static func notInstalled(_ tool: String, among names: some Sequence<String> = []) -> Self {
        guard let instances = ToolSpecification.instances(of: tool, among: names) else {
            return Self(.notInstalled, tool: tool, "is not installed; install it first, or check its name")
        }
        return Self(.notInstalled, tool: tool, "is not one tool, but several: \(instances)")
    }

    static func cannotReload(_ tool: String) -> Self {
        let advice =
            "does not say how it reads its configuration again; name the signal in its manifest, such as `reload: HUP`, or "
            + "restart it. A signal that its program does not handle would end it"
        return Self(.cannotReload, tool: tool, advice)
    }

    static func shutDown(_ tool: String) -> Self {
        Self(.shutDown, tool: tool, "cannot be changed any more, since its supervisor was shut down")
    }
}

extension ToolError {
    /// Describes the system's refusal to start a program.
    static func launchFailed(_ tool: String, _ path: String, _ error: LaunchError) -> Self {
        let advice =
            switch error.errorNumber {
            // The program itself exists: ToolExecutable has just found it.
            case ENOENT: "; if it is a script, the interpreter in its first line is missing"
            case ENOEXEC: "; if it is a script, its first line must be #! and the interpreter"
            case E2BIG: "; its configuration and environment are larger than the system passes to a program"
            case EMFILE, ENFILE:
                "; too many files are open on its node, which tries again until there are fewer: raise the node's limit "
                    + "(LimitNOFILE=, ulimit -n)"
            default: ""
            }
        return Self(
            .launchFailed,
            tool: tool,
            "cannot be started from \(path): \(error.description)\(advice)",
            lacksDescriptors: error.lacksDescriptors
        )
    }
}
