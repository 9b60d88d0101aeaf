import MeshEvents

/// What a signature says, in a word.
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
