import MeshEvents

/// Says how far the entries of the nodes are complete. They may have more.
struct Checkpoint: Sendable, Equatable {
    /// Up to where.
    var position: SavedPosition
    /// When that was so, by the server's clock.
    var at: Timestamp
    /// The name of the node that keeps the state.
    var keeper: String
    /// The keys of the nodes that have an entry.
    var keys: KeySet
    /// The keys with the sequences up to which their entries were complete. An entry that has another one, and is less
    /// complete than the checkpoint, was not there.
    var entries: KeySet

    init(position: SavedPosition, at: Timestamp, keeper: String, keys: KeySet, entries: KeySet) {
        self.position = position
        self.at = at
        self.keeper = keeper
        self.keys = keys
        self.entries = entries
    }

    /// Reads a checkpoint; `nil` when the text is none.
    init?(json text: [UInt8]) {
        guard let json = try? EventData(json: text).value, let position = SavedPosition(json),
            let at = json["at"]?.time, let keeper = json["keeper"]?.string,
            let keys = json["keys"]?.string.flatMap({ KeySet($0) }),
            let entries = json["entries"]?.string.flatMap({ KeySet($0) })
        else { return nil }
        self.init(
            position: position,
            at: at,
            keeper: keeper,
            keys: keys,
            entries: entries
        )
    }

    /// The checkpoint as JSON.
    var json: [UInt8] {
        let members: [(String, JSONValue)] = [
            ("at", .time(at)), ("keeper", .string(keeper)), ("nodes", JSONValue(keys.count)),
            ("keys", .string(keys.text)), ("entries", .string(entries.text)),
        ]
        return Array(JSONValue.object(JSONObject(position.members + members)).description.utf8)
    }

    /// What stands in the checkpoint's place until a keeper that began without one has saved all: it is no checkpoint.
    static func claim(of keeper: String) -> [UInt8] {
        let data: EventData = ["keeper": .string(keeper)]
        return Array(data.json.utf8)
    }

    /// Whether a keeper wrote this: a checkpoint, or a claim.
    static func isKeepers(_ text: [UInt8]) -> Bool { (try? EventData(json: text))?["keeper"]?.string != nil }

    /// The last sequence that counts.
    var sequence: UInt64 { position.sequence }
}
