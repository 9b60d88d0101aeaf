#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Why a process could not be started. When this is thrown, no part of it runs.
package struct LaunchError: Error, Sendable, CustomStringConvertible {
    /// What went wrong, for people.
    package let description: String
    /// The system's error number, when there is one.
    package let errorNumber: Int32?

    init(_ description: String, errorNumber: Int32? = nil) {
        self.description = errorNumber.map { "\(description): \(String(cString: strerror($0)))" } ?? description
        self.errorNumber = errorNumber
    }
}
