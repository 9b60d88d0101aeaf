import MeshEvents

/// What is known of one node, as it is kept outside the stream: the facts with their times. Taking one in is the same as
/// taking in the events behind it, in any order and any number of times.
///
/// Its JSON is for people and other programs too. Beside `name`, `status` and `tools`, which say what follows from the
/// facts when it is written, `facts` has what ``MeshState`` reads.
struct NodeSnapshot: Sendable, Equatable {
    /// The node's name.
    let name: String
    let record: NodeRecord
    /// Up to where it is complete; `nil` when that is not known.
    var position: SavedPosition?

    init(name: String, record: NodeRecord, position: SavedPosition? = nil) {
        self.name = name
        self.record = record
        self.position = position
    }

    /// Reads a snapshot, within limits; `nil` when it is none.
    ///
    /// - Parameters:
    ///   - text: the JSON.
    ///   - limits: what is kept of it.
    ///   - leftOut: counts what is not kept.
    init?(json text: [UInt8], limits: MeshState.Limits, _ leftOut: inout MeshState.LeftOut) {
        guard let json = try? EventData(json: text).value, let name = json["name"]?.string, !name.isEmpty,
            name.utf8.count <= MeshState.Limits.nameBytes, let facts = json["facts"],
            let record = NodeRecord(facts, limits: limits, &leftOut)
        else { return nil }
        self.init(name: name, record: record, position: SavedPosition(json))
    }

    /// The snapshot as JSON.
    ///
    /// - Parameter now: the time for which the status is given.
    func json(at now: Timestamp) -> [UInt8] {
        let node = record.view(name, at: now)
        let tools = node.tools.filter { $0.state != .removed }.map { tool in
            JSONValue([
                "name": .string(tool.name), "version": tool.version.map { .string($0) } ?? .null,
                "state": .string(tool.state.rawValue), "error": tool.lastError.map { .string($0) } ?? .null,
            ])
        }
        let conclusions: [(String, JSONValue)] = [
            ("name", .string(name)), ("status", .string(node.status.rawValue)), ("tools", .array(tools)),
        ]
        let members = conclusions + (position?.members ?? []) + [("facts", record.json)]
        return Array(JSONValue.object(JSONObject(members)).description.utf8)
    }
}

extension MeshState {
    /// What is known of a node, to be kept elsewhere; `nil` when nothing is.
    ///
    /// - Parameter position: up to where it is complete.
    func snapshot(of node: String, position: SavedPosition? = nil) -> NodeSnapshot? {
        entry(node).map { NodeSnapshot(name: node, record: $0, position: position) }
    }
}
