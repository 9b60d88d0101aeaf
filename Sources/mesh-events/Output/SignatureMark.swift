import MeshEvents

/// The word for the result of a signature check.
enum SignatureMark {
    /// The width of the column.
    static let width = 8

    static func word(_ signature: EventSignature) -> String {
        switch signature {
        case .unchecked: ""
        case .unsigned: "unsigned"
        case .signed: "signed"
        case .forged: "forged"
        }
    }
}
