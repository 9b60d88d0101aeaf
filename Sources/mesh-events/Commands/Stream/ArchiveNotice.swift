import MeshEvents

/// Says that the archive could not be created.
enum ArchiveNotice {
    static func say(_ opening: StoreOpening) {
        guard case .unavailable(let reason)? = opening.archive else { return }
        Diagnostics.say("there is no archive, so older events are not kept: \(reason)")
    }
}
