import Yams

extension ManifestReader {
    /// The number of lines that `tool.crashed` has.
    mutating func crashOutput(_ node: Node) -> Int? {
        integer(node, "crash_output", in: 0...CrashOutput.maximumLines, "lines")
    }

    private mutating func integer(_ node: Node, _ what: String, in range: ClosedRange<Int>, _ unit: String) -> Int? {
        guard let scalar = node.scalar, !isQuoted(node), let number = Int(scalar.string), range.contains(number) else {
            report(
                "\(what) must be a number of \(unit) from \(range.lowerBound) to \(range.upperBound), not \(kind(of: node))",
                at: node
            )
            return nil
        }
        return number
    }
}
