/// The most memory that a tool may use.
///
/// The resident memory of all its processes is added up every second; memory that several of them share counts for each.
/// A tool that uses more is ended, which counts as a crash; its restart policy decides what follows.
public struct ToolMemoryLimit: Sendable, Hashable {
    /// How a tool that uses too much is ended.
    public enum Action: String, Sendable, Hashable, CaseIterable {
        /// As when it is stopped: with its signal, and killed after its grace period.
        case restart
        /// It is killed at once, for tools that would take the machine's memory meanwhile.
        case kill
    }

    /// The least that ``maximum`` may be, in bytes: 1 MiB. No program runs in less; a smaller number is meant in another
    /// unit.
    public static let minimum = 1 << 20

    /// The most memory, in bytes; at least ``minimum``.
    public var maximum: Int
    /// How the tool is ended; the default is ``Action/restart``.
    public var action: Action

    /// Creates a limit.
    public init(maximum: Int, action: Action = .restart) {
        self.maximum = maximum
        self.action = action
    }

    /// The error of a tool that uses too much: `used 8.2 GB, more than its limit of 8 GB`.
    func error(used: Int) -> String {
        "used \(ManifestSize.text(used)), more than its limit of \(ManifestSize.text(maximum))"
    }
}

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
