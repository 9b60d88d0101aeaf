/// How a process ended.
package enum ProcessEnd: Sendable, Hashable {
    /// It exited by itself with this code.
    case exited(code: Int32)
    /// This signal ended it.
    case signaled(Int32)
    /// It never ran, for the reason given.
    case notLaunched(String)
}
