/// The version of a `nats-server`.
struct ServerVersion: Comparable, CustomStringConvertible {
    let numbers: [Int]
    let description: String

    /// Reads the first word that looks like a version, as in `nats-server: v2.9.10` or `2.12.0-beta.1`.
    init?(in text: String) {
        for word in text.split(whereSeparator: \.isWhitespace) {
            let word = word.first == "v" ? word.dropFirst() : word
            let parts = word.prefix { $0 != "-" && $0 != "+" }.split(separator: ".", omittingEmptySubsequences: false)
            let numbers = parts.compactMap { Int($0) }
            if numbers.count >= 2, numbers.count == parts.count {
                self.numbers = numbers
                description = String(word)
                return
            }
        }
        return nil
    }

    /// Whether this version knows `sync_interval` (from 2.10); older ones refuse to start with it.
    var knowsSyncInterval: Bool { !numbers.lexicographicallyPrecedes([2, 10]) }

    static func == (a: Self, b: Self) -> Bool { a.numbers == b.numbers }

    static func < (a: Self, b: Self) -> Bool { a.numbers.lexicographicallyPrecedes(b.numbers) }
}
