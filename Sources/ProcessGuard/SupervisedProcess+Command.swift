extension SupervisedProcess {
    /// The program to run, with its arguments and environment.
    package struct Command: Sendable {
        /// The path of the program.
        package var executable: String
        /// Its arguments, without its name.
        package var arguments: [String]
        /// Its whole environment.
        package var environment: [String: String]
        /// Its working directory; `nil` for this process's.
        package var directory: String?
        /// How much of its output is passed on.
        package var limits: OutputLimits

        /// Creates a command.
        package init(
            executable: String,
            arguments: [String] = [],
            environment: [String: String] = [:],
            directory: String? = nil,
            limits: OutputLimits = OutputLimits()
        ) {
            self.executable = executable
            self.arguments = arguments
            self.environment = environment
            self.directory = directory
            self.limits = limits
        }
    }
}
