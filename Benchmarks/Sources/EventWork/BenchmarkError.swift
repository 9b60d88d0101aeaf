/// A benchmark whose result would mean nothing.
public struct BenchmarkError: Error, CustomStringConvertible {
    /// What went wrong.
    public let description: String

    /// Creates an error that says this.
    public init(_ description: String) { self.description = description }
}
