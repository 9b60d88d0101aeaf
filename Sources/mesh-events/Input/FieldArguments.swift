import MeshEvents

/// Event data from `key=value` arguments: a value that parses as JSON is JSON, any other is a string.
enum FieldArguments {
    /// The data, members in the order of the arguments, behind those of `base`; a repeated name replaces.
    ///
    /// - Throws: `CommandFailure`: usage for an argument that is not `key=value`.
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
    /// - Throws: `CommandFailure`: bad data for a number that not every reader takes.
    private static func json(_ value: String, of key: String) throws -> String {
        // As the only member of an object; a value that smuggles in another member is a string after all.
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
