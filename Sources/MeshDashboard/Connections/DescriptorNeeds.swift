import FileDescriptors

/// What the file descriptors of this process are needed for beside connections.
package struct DescriptorNeeds: Sendable {
    /// How many are to stay free. It is asked for each new connection.
    package var kept: @Sendable () -> Int
    /// Is told in a sentence when no connection can be accepted, and what can be done; not more than once a minute. `nil`
    /// for the log.
    package var say: (@Sendable (String) -> Void)?

    /// Creates the needs of a program.
    ///
    /// - Parameters:
    ///   - kept: how many are to stay free. Default: 24, enough for the start of a process and for another connection to the
    ///     mesh.
    ///   - say: is told when no connection can be accepted; `nil` for the log.
    package init(kept: @escaping @Sendable () -> Int = { 24 }, say: (@Sendable (String) -> Void)? = nil) {
        self.kept = kept
        self.say = say
    }

    /// Whether fewer are free than are to stay so.
    func isScarce() -> Bool { !FileDescriptors.areFree(kept()) }
}
