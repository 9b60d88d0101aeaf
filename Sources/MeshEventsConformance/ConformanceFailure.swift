/// The error of a check: a guarantee was not kept.
public struct ConformanceFailure: Error, Sendable, CustomStringConvertible {
    /// One sentence: what was expected, and what was found.
    public let description: String

    /// Creates a failure.
    public init(_ description: String) {
        self.description = description
    }
}

/// Throws when a condition does not hold.
func require(_ condition: Bool, _ expectation: @autoclosure () -> String) throws {
    if !condition { throw ConformanceFailure(expectation()) }
}

/// Throws when two values differ.
func requireEqual<Value: Equatable>(_ found: Value, _ expected: Value, _ what: @autoclosure () -> String) throws {
    if found != expected {
        throw ConformanceFailure("\(what()): expected \(shortened(expected)), found \(shortened(found))")
    }
}

private func shortened(_ value: some Any) -> String {
    let text = "\(value)"
    return text.utf8.count > 600 ? "\(text.prefix(600))…" : text
}
