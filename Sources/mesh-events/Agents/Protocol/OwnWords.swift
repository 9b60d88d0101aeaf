/// A text that this program has written itself: it cannot hold a text of the mesh or of the client.
///
/// A language model takes prose for instructions. So everything that a server for agents says in prose is of this type: it is
/// made of literals and numbers, and the compiler refuses a string in it. What others wrote is ``UntrustedData``.
struct OwnWords: Sendable, Hashable, ExpressibleByStringInterpolation {
    let text: String

    init(stringLiteral value: StaticString) { text = value.description }

    init(stringInterpolation: Interpolation) { text = stringInterpolation.text }

    private init(joined text: String) { self.text = text }

    /// Sentences, one after the other.
    static func joined(_ sentences: [OwnWords]) -> OwnWords {
        OwnWords(joined: sentences.map(\.text).joined(separator: " "))
    }

    /// What can stand in such a text.
    struct Interpolation: StringInterpolationProtocol {
        fileprivate var text = ""

        init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity) }

        mutating func appendLiteral(_ literal: StaticString) { text += literal.description }

        mutating func appendInterpolation(_ number: some BinaryInteger) { text += String(number) }

        mutating func appendInterpolation(_ words: OwnWords) { text += words.text }
    }
}
