/// A set of keys, known by a hash of 32 bits of each: an entry more or less is noticed.
struct KeySet: Sendable, Equatable {
    private var hashes: Set<UInt32>

    init(_ keys: some Sequence<String>) { hashes = Set(keys.map { Self.hash($0) }) }

    /// Reads the text of a set; `nil` when it is none.
    init?(_ text: String) {
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: Self.digits) else { return nil }
        hashes = []
        for start in stride(from: 0, to: digits.count, by: Self.digits) {
            let part = String(decoding: digits[start..<start + Self.digits], as: UTF8.self)
            guard let hash = UInt32(part, radix: 16) else { return nil }
            hashes.insert(hash)
        }
    }

    /// The hashes, each as eight hexadecimal digits.
    var text: String {
        hashes.sorted().map { hash in
            let digits = String(hash, radix: 16)
            return String(repeating: "0", count: Self.digits - digits.count) + digits
        }.joined()
    }

    var count: Int { hashes.count }

    func contains(_ key: String) -> Bool { hashes.contains(Self.hash(key)) }

    func isSuperset(of other: KeySet) -> Bool { hashes.isSuperset(of: other.hashes) }

    /// A key with the sequence up to which its entry is complete.
    static func entry(_ key: String, _ sequence: UInt64) -> String { "\(key) \(sequence)" }

    private static let digits = 8

    /// FNV-1a.
    private static func hash(_ key: String) -> UInt32 {
        key.utf8.reduce(2_166_136_261) { ($0 ^ UInt32($1)) &* 16_777_619 }
    }
}
