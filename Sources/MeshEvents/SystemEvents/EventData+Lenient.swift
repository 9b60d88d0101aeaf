/// Lenient reading of the mesh's own payloads: a missing or `null` member reads as empty, since other implementations
/// leave members out. Only a value of the wrong kind throws.
extension EventData {
    func string(_ key: String) throws(MeshEventsError) -> String {
        guard let field = self[key], !field.isNull else { return "" }
        guard let string = field.string else { throw wrongKind(key, "a string") }
        return string
    }

    func integer(_ key: String) throws(MeshEventsError) -> Int {
        guard let field = self[key], !field.isNull else { return 0 }
        guard let integer = field.int else { throw wrongKind(key, "an integer of 64 bits") }
        return integer
    }

    func object(_ key: String) throws(MeshEventsError) -> EventData {
        guard let field = self[key] else { return .null }
        guard let data = field.data else { throw wrongKind(key, "an object or null") }
        return data
    }

    private func wrongKind(_ key: String, _ expected: String) -> MeshEventsError {
        MeshEventsError(.invalidData, "'\(key)' in the event's data must be \(expected)")
    }
}
