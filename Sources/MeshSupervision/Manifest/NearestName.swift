/// Finds the name that the user meant by a mistyped one.
package enum NearestName {
    /// `; did you mean 'command'?`, or a list of the known names when none is near.
    package static func hint(for name: String, among names: [String]) -> String {
        if let nearest = nearest(to: name, among: names) { return "; did you mean '\(nearest)'?" }
        return "; there are \(names.joined(separator: ", "))"
    }

    /// The name with the fewest typing errors; `nil` when none is near.
    static func nearest(to name: String, among names: [String]) -> String? {
        let lowercased = Array(name.lowercased().utf8.prefix(64))
        let distances = names.map { (name: $0, distance: distance(lowercased, Array($0.utf8))) }
        guard let best = distances.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(1, best.name.utf8.count / 3) ? best.name : nil
    }

    /// The Damerau distance: how many bytes must be inserted, removed, replaced or swapped with their neighbour.
    private static func distance(_ first: [UInt8], _ second: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...second.count)
        for (row, letter) in first.enumerated() {
            var current = [row + 1]
            for (column, other) in second.enumerated() {
                var cost = min(last[column] + (letter == other ? 0 : 1), last[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, letter == second[column - 1], first[row - 1] == other {
                    cost = min(cost, beforeLast[column - 1] + 1)
                }
                current.append(cost)
            }
            (beforeLast, last) = (last, current)
        }
        return last[second.count]
    }
}
