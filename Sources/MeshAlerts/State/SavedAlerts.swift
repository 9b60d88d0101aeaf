import MeshEvents
import MeshMonitoring

/// The state of alerts as it is saved.
struct SavedAlerts: Sendable {
    /// Up to where it is complete; `nil` when nothing is saved.
    var position: SavedPosition?
    var states: [AlertKey: AlertState] = [:]
    var silences: [AlertSilence] = []
    /// By the name of the target.
    var places: [String: TargetQueue.Place] = [:]
    /// The revisions of all entries, by key, but not the lease's.
    var revisions: [String: UInt64] = [:]
    /// The keys that say nothing.
    var junk: [String] = []
    /// The lease of the runner; `nil` when none has one.
    var lease: LeaseReading?

    /// Reads what is saved.
    ///
    /// - Throws: as ``/MeshEvents/StateStore``; `streamNotFound` when there is no table.
    static func load(from table: any StateStore) async throws(MeshEventsError) -> SavedAlerts {
        var entries: [String: StateEntry] = [:]
        try await table.read(under: StateKeys.prefix) { entry in
            guard entry.revision > entries[entry.key]?.revision ?? 0 else { return }
            entries[entry.key] = entry
        }
        var saved = SavedAlerts()
        saved.lease = entries.removeValue(forKey: StateKeys.lease).flatMap { LeaseReading($0) }
        for (key, entry) in entries {
            saved.revisions[key] = entry.revision
            if !saved.take(key, try? EventData(json: entry.value)) { saved.junk.append(key) }
        }
        return saved
    }

    /// The same; nothing when there is no table.
    static func ifAny(in table: any StateStore) async throws(MeshEventsError) -> SavedAlerts {
        do throws(MeshEventsError) {
            return try await load(from: table)
        } catch {
            guard error.code == .streamNotFound else { throw error }
            return SavedAlerts()
        }
    }

    /// Takes in an entry; `false` when it says nothing.
    private mutating func take(_ key: String, _ data: EventData?) -> Bool {
        guard let data else { return false }
        if key == StateKeys.position {
            position = SavedPosition(data.value)
            return position != nil
        }
        if key == StateKeys.silences {
            silences = data.list("silences").compactMap { $0.data.flatMap(AlertSilence.init(json:)) }
            return data["silences"]?.array != nil
        }
        if key.hasPrefix(StateKeys.targets + ".") {
            guard let name = data["name"]?.string, StateKeys.target(name) == key,
                let place = TargetQueue.Place(json: data)
            else { return false }
            places[name] = place
            return true
        }
        guard let alert = AlertKey(json: data), StateKeys.state(alert) == key, let state = AlertState(json: data) else {
            return false
        }
        states[alert] = state
        return true
    }
}
