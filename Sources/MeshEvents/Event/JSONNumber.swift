import MeshJSON

/// A JSON number that keeps the digits of its text.
///
/// Two numbers are equal when their decimal values are: `1`, `1.0` and `10e-1` are one number.
public struct JSONNumber: Sendable, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral {
    @usableFromInline
    enum Storage: Sendable {
        case integer(Int64)
        case unsigned(UInt64)
        case double(Double)
        /// A valid JSON number.
        case text(String)
    }

    @usableFromInline
    let storage: Storage

    /// A number from valid JSON text.
    init(text: String) { storage = .text(text) }

    /// Creates a number from an integer.
    @inlinable
    public init(_ value: Int64) { storage = .integer(value) }

    /// Creates a number from an integer.
    @inlinable
    public init(_ value: Int) { storage = .integer(Int64(value)) }

    /// Creates a number from an integer.
    @inlinable
    public init(_ value: UInt64) { storage = .unsigned(value) }

    /// Creates a number; NaN and infinities are kept; emitting them throws.
    @inlinable
    public init(_ value: Double) { storage = .double(value) }

    /// Creates a number from an integer literal.
    @inlinable
    public init(integerLiteral value: Int64) { storage = .integer(value) }

    /// Creates a number from a literal.
    @inlinable
    public init(floatLiteral value: Double) { storage = .double(value) }

    /// The value as an integer; `nil` when it has a fraction or does not fit.
    public var int64: Int64? {
        switch storage {
        case .integer(let value): value
        case .unsigned(let value): Int64(exactly: value)
        case .double, .text: withText { DecimalText.int64($0) }
        }
    }

    /// The value when it is stored as an integer, and fits; it is found without reading a text.
    var storedInteger: Int64? {
        switch storage {
        case .integer(let value): value
        case .unsigned(let value): Int64(exactly: value)
        case .double, .text: nil
        }
    }

    /// The value as an integer; `nil` when it has a fraction, is negative or does not fit.
    public var uint64: UInt64? {
        switch storage {
        case .integer(let value): UInt64(exactly: value)
        case .unsigned(let value): value
        case .double, .text: withText { DecimalText.uint64($0) }
        }
    }

    /// The nearest `Double`; infinite when the value is beyond its range.
    public var double: Double {
        switch storage {
        case .integer(let value): Double(value)
        case .unsigned(let value): Double(value)
        case .double(let value): value
        case .text(let text): text.withBytes { DecimalText.double($0) }
        }
    }

    @inline(__always)
    func write(to writer: inout JSONWriter) {
        switch storage {
        case .integer(let value): writer.integer(value)
        case .unsigned(let value): writer.unsigned(value)
        case .double(let value): writer.double(value)
        case .text(let text):
            text.withBytes {
                writer.write($0)
                if DecimalText.isBeyondDouble($0) { writer.report(.beyondDouble) }
            }
        }
    }

    /// The error message for a number whose nearest `Double` is infinite.
    static let beyondDouble =
        "a number is beyond the range of a double, about 1.8e308, and readers in Go drop such an event; use a string"

    private func withText<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        description.withBytes(body)
    }
}

extension JSONNumber: Hashable, CustomStringConvertible {
    /// The number as JSON text; `nan` or `inf` when there is no JSON for it.
    public var description: String {
        switch storage {
        case .integer(let value): value.description
        case .unsigned(let value): value.description
        case .double(let value):
            value.isFinite ? JSONWriter.text { $0.double(value) } : value.description
        case .text(let text): text
        }
    }

    /// Whether both have the same decimal value.
    public static func == (left: JSONNumber, right: JSONNumber) -> Bool {
        if case .integer(let one) = left.storage, case .integer(let two) = right.storage { return one == two }
        return left.withText { DecimalText($0) } == right.withText { DecimalText($0) }
    }

    /// Hashes the decimal value.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(withText { DecimalText($0) })
    }
}
