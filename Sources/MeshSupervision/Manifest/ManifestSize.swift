/// Sizes in a manifest: `512M`, `8G`, `1.5G`, `8GiB`, `1048576`. K, M, G and T are powers of 1024.
package enum ManifestSize {
    private static let units: [(letter: String, bytes: Double)] = [
        ("T", 1_099_511_627_776), ("G", 1_073_741_824), ("M", 1_048_576), ("K", 1_024),
    ]

    /// The bytes; `nil` when the text is no size.
    package static func parse(_ text: String) -> UInt64? {
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(number.count).uppercased()
        if unit.isEmpty || unit == "B" { return UInt64(number) }
        guard number.first?.isNumber == true, number.last?.isNumber == true, let value = Double(number),
            let factor = units.first(where: { [$0.letter, $0.letter + "B", $0.letter + "IB"].contains(unit) })?.bytes,
            value * factor < 9e18
        else { return nil }
        return UInt64((value * factor).rounded())
    }

    /// The size in its largest unit, with at most one decimal: `8 GB`, `8.2 GB`, `900 bytes`.
    package static func text(_ bytes: Int) -> String {
        for unit in units where Double(bytes) >= unit.bytes {
            let tenths = Int((Double(bytes) / unit.bytes * 10).rounded())
            return "\(tenths / 10)" + (tenths % 10 == 0 ? "" : ".\(tenths % 10)") + " \(unit.letter)B"
        }
        return "\(bytes) bytes"
    }
}
