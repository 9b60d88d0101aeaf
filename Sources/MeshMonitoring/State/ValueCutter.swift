import MeshEvents

/// Cuts the texts and data of one event to a state's limits.
struct ValueCutter {
    private let limits: MeshState.Limits
    /// Whether a text or data was too large.
    private(set) var hasCut = false

    init(_ limits: MeshState.Limits) { self.limits = limits }

    /// The text; one that is too long is cut and ends with `…`.
    mutating func cut(_ text: String) -> String {
        guard text.utf8.count > limits.textBytes else { return text }
        hasCut = true
        return text.truncated(bytes: limits.textBytes)
    }

    /// The data; null when it is too large, or nested more than 100 levels deep: within other JSON it must stay readable.
    mutating func cut(_ data: EventData) -> EventData {
        guard data.json.utf8.count > limits.dataBytes || data.depth > 100 else { return data }
        hasCut = true
        return .null
    }

    /// What happened to a tool, with its texts cut.
    mutating func cut(_ event: LifecycleFact.Tool) -> LifecycleFact.Tool {
        switch event {
        case .installed(let version): .installed(version: cut(version))
        case .stopped(let reason, let failed, let error):
            .stopped(reason: cut(reason), failed: failed, error: error.map { cut($0) })
        case .crashed(let error, let restartCount, let failed):
            .crashed(error: cut(error), restartCount: restartCount, failed: failed)
        case .health(let reason): .health(reason: reason.map { cut($0) })
        case .finished(let error, let next): .finished(error: error.map { cut($0) }, next: next)
        case .configured, .started, .ready, .removed: event
        }
    }

    /// What a list says of a tool, with its texts cut.
    mutating func cut(_ listing: ToolListing) -> ToolListing {
        var listing = listing
        listing.version = cut(listing.version)
        listing.error = listing.error.map { cut($0) }
        listing.works.unhealthy = listing.works.unhealthy.map { cut($0) }
        listing.works.text = listing.works.text.map { cut($0) }
        return listing
    }
}
