#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The two ends of a pipe. A child inherits them only when they are passed to it.
struct DescriptorPair {
    let readEnd: Int32
    let writeEnd: Int32

    /// Makes a pipe.
    ///
    /// - Throws: `LaunchError` when the process or the system has no file descriptor left.
    init() throws(LaunchError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw LaunchError("no pipe could be made", errorNumber: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        readEnd = ends[0]
        writeEnd = ends[1]
    }

    /// Makes reading return at once when there is nothing to read.
    func setNonBlockingRead() {
        let flags = fcntl(readEnd, F_GETFL)
        _ = fcntl(readEnd, F_SETFL, flags | O_NONBLOCK)
    }
}

/// Wraps a raw value in the type that the context requires. This avoids a dependency on swift-system for two types.
func wrapped<Wrapper: RawRepresentable>(_ rawValue: Wrapper.RawValue) throws(LaunchError) -> Wrapper {
    guard let wrapper = Wrapper(rawValue: rawValue) else { throw LaunchError("\(rawValue) is no file descriptor") }
    return wrapper
}

/// The raw value of a wrapped value.
func unwrapped<Wrapper: RawRepresentable>(_ wrapper: Wrapper) -> Wrapper.RawValue { wrapper.rawValue }

/// A path in the type that the context requires.
func spelled<Path: ExpressibleByStringLiteral>(_ text: String) -> Path where Path.StringLiteralType == String {
    Path(stringLiteral: text)
}
