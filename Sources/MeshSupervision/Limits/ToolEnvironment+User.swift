import ProcessGuard

extension ToolEnvironment {
    /// All variables of a tool that runs as a user: those that tell who it runs as are the user's, unless the tool has its
    /// own.
    ///
    /// - Parameter user: the user; `nil` for the node's.
    func variables(for tool: ToolSpecification, as user: ProcessUser?) -> [String: String] {
        var variables = variables(for: tool)
        guard let user else { return variables }
        let who = ["HOME": user.home, "USER": user.name, "LOGNAME": user.name, "SHELL": user.shell]
        variables.merge(who) { $1 }
        variables.merge(tool.environment) { $1 }
        return variables
    }
}
