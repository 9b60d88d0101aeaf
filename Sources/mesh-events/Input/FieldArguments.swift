import MeshEvents

/// Makes event data from `key=value` arguments: a value that parses as JSON is JSON, any other is a string.
enum FieldArguments {
    /// The data: the members of `base`, then those of the arguments in their order. An argument replaces a member of
    /// `base` with the same name.
    ///
    /// - Throws: `CommandFailure`: usage for an argument that is not `key=value`, and for a name given twice.
    static func data(_ arguments: [String], base: EventData = .empty) throws -> EventData {
        guard !base.isNull || arguments.isEmpty else {
            throw CommandFailure(.usage, "key=value needs an object to go into, and --data is null")
        }
        var members = base.members.map { (key: $0.key, json: $0.value.json) }
        var names: Set<String> = []
        for argument in arguments {
            let (key, value) = try split(argument)
            guard names.insert(key).inserted else {
                throw CommandFailure(.usage, "\(key.debugDescription) is given twice")
            }
            members.removeAll { $0.key == key }
            members.append((key, try json(value, of: key)))
        }
        let text = members.map { "\(JSONValue.string($0.key)):\($0.json)" }.joined(separator: ",")
        return try EventData(json: "{\(text)}")
    }

    private static func split(_ argument: String) throws -> (key: String, value: String) {
        guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else {
            throw CommandFailure(.usage, "\(argument.debugDescription) is not key=value")
        }
        return (String(argument[..<equals]), String(argument[argument.index(after: equals)...]))
    }

    /// The value's JSON text.
    ///
    /// - Throws: `CommandFailure`: bad data for a number that some JSON readers cannot read.
    private static func json(_ value: String, of key: String) throws -> String {
        // Parsed as the only member of an object; a value that would add another member counts as a string.
        if let data = try? EventData(json: "{\"\":\(value)}"), data.members.count == 1, let field = data[""] {
            do throws(MeshEventsError) {
                try data.checkNumbers()
            } catch {
                throw CommandFailure(.badData, "\(key.debugDescription): \(error.message), \(key)='\"\(value)\"'")
            }
            return field.json
        }
        return JSONValue.string(value).description
    }
}
