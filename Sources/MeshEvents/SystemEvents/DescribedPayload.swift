/// A payload that describes its data, so that a schema can be made from it: see
/// `AsyncAPIDocument` (module MeshEventsInterop).
///
/// ```swift
/// extension TrainingComplete: DescribedPayload {
///     static let summary = "A model was trained."
///     static let fields: [PayloadField] = [
///         .init("loss", .number, "The loss at the end.", example: 0.023)
///     ]
/// }
/// ```
public protocol DescribedPayload: EventPayload {
    /// What has happened, one sentence.
    static var summary: String { get }
    /// The members of the data. The payload writes all of them, except those that are optional.
    static var fields: [PayloadField] { get }
}

/// A member of a payload's data.
public struct PayloadField: Sendable, Hashable {
    /// What the value is.
    public enum Kind: Sendable, Hashable {
        /// Text.
        case string
        /// A moment as text: RFC 3339.
        case timestamp
        /// An integer of 64 bits.
        case integer
        /// Any number.
        case number
        /// `true` or `false`.
        case boolean
        /// An object with any members, or null.
        case object
        /// An array of any elements.
        case array
        /// An array of texts.
        case strings
    }

    /// The member's name.
    public var name: String
    /// What its value is.
    public var kind: Kind
    /// What it means, one sentence or more.
    public var summary: String
    /// A value that it may have.
    public var example: JSONValue
    /// Whether it may be missing.
    public var isOptional: Bool
    /// The members of the elements, when it is an array of objects; empty for any elements.
    public var elements: [PayloadField]

    /// Describes a member.
    public init(
        _ name: String,
        _ kind: Kind,
        _ summary: String,
        example: JSONValue,
        isOptional: Bool = false,
        elements: [PayloadField] = []
    ) {
        self.name = name
        self.kind = kind
        self.summary = summary
        self.example = example
        self.isOptional = isOptional
        self.elements = elements
    }
}
