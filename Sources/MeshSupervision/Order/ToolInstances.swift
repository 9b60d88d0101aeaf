import MeshEvents

extension ToolSpecification {
    /// The text that stands for the number of an instance.
    static let instanceMark = "{instance}"
    /// The most instances: 100.
    public static let maximumInstances = 100

    /// Several tools of this kind: `name-1`, `name-2` and so on.
    ///
    /// `{instance}` in the command, the environment, the configuration, the directory and the probes of its health
    /// becomes the number of the instance, from 1.
    ///
    /// - Parameter count: how many; at most ``maximumInstances`` are made.
    public func instances(_ count: Int) -> [ToolSpecification] {
        (1...max(1, min(count, Self.maximumInstances))).map { instance($0) }
    }

    /// The instances of a tool in words, in order: `worker-1 and worker-2`, `worker-1 to worker-8`; `nil` when there are none.
    ///
    /// - Parameters:
    ///   - tool: the name that they share.
    ///   - names: the names to look among.
    public static func instances(of tool: String, among names: some Sequence<String>) -> String? {
        let numbers = names.compactMap { name -> Int? in
            guard name.hasPrefix(tool + "-"), let number = Int(name.dropFirst(tool.count + 1)), number > 0 else {
                return nil
            }
            return "\(tool)-\(number)" == name ? number : nil
        }
        let sorted = Set(numbers).sorted()
        guard let first = sorted.first, let last = sorted.last else { return nil }
        guard sorted.count > 1 else { return "\(tool)-\(first)" }
        return "\(tool)-\(first) \(sorted.count == 2 ? "and" : "to") \(tool)-\(last)"
    }

    private func instance(_ number: Int) -> ToolSpecification {
        func numbered(_ text: String) -> String { text.replacing(Self.instanceMark, with: "\(number)") }
        func numbered(_ value: JSONValue) -> JSONValue {
            switch value {
            case .string(let text): .string(numbered(text))
            case .array(let values): .array(values.map { numbered($0) })
            case .object(let object): .object(JSONObject(object.map { ($0.key, numbered($0.value)) }))
            case .null, .bool, .number: value
            }
        }
        var tool = self
        tool.name = "\(name)-\(number)"
        tool.command = command.map { numbered($0) }
        tool.environment = environment.mapValues { numbered($0) }
        tool.directory = directory.map { numbered($0) }
        tool.health = health.mapTexts { numbered($0) }
        if let object = configuration.value.object {
            tool.configuration = EventData(JSONObject(object.map { ($0.key, numbered($0.value)) }))
        }
        // A text with a secret in it is the secret of this instance now.
        tool.confidential.formUnion(confidential.map { numbered($0) })
        return tool
    }
}
