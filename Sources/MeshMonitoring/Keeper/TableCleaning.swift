import MeshEvents

extension TalliedTable {
    /// Removes what is neither an entry of a node nor one of the keeper's own, as far as it can be removed.
    func removeJunk() async {
        var junk: [String] = []
        var left = MeshState.LeftOut()
        try? await read { entry in
            guard !StateKey.isKeepers(entry.key), !StateKey.isOfAlerts(entry.key),
                NodeSnapshot(entry, limits: .init(), &left) == nil
            else { return }
            junk.append(entry.key)
        }
        for key in junk where !Task.isCancelled { try? await remove(key) }
    }
}
