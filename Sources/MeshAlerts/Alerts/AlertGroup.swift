/// What an alert is about: each rule has one alert for each group.
public struct AlertGroup: Sendable, Hashable {
    /// A name with a value, `tool` and `whisper` for example.
    public struct Label: Sendable, Hashable {
        /// The name: `node`, `tool`, or the path of a field of the data.
        public let name: String
        /// The value; texts of events are cut to ``AlertGroup/maximumValue`` characters.
        public let value: String

        /// Creates a label.
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The most characters of a value.
    public static let maximumValue = 256

    /// The labels by name, each name once; empty for a rule that has one alert for all events.
    public let labels: [Label]

    /// Creates a group from labels in any order; of those with the same name the first counts.
    public init(_ labels: [Label]) {
        var names: Set<String> = []
        self.labels = labels.filter { names.insert($0.name).inserted }.sorted { $0.name < $1.name }
    }

    /// The value of a label; `nil` when there is none of this name.
    public subscript(name: String) -> String? { labels.first { $0.name == name }?.value }
}

extension AlertGroup: CustomStringConvertible {
    /// `whisper on pi` for a tool of a node, else the values with commas between them; empty without labels.
    public var description: String {
        if labels.count == 2, let tool = self["tool"], let node = self["node"] { return "\(tool) on \(node)" }
        return labels.map { $0.name == "node" || $0.name == "tool" ? $0.value : "\($0.name) \($0.value)" }
            .joined(separator: ", ")
    }
}
