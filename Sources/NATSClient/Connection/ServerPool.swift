/// The servers that a connection may use: those it was given and those the cluster announces, tried in turn.
struct ServerPool {
    private var given: [ServerAddress]
    private var announced: [ServerAddress] = []
    private var position = 0

    /// `servers` is not empty.
    init(_ servers: [ServerAddress]) { given = servers }

    /// How many servers a pass over the pool tries.
    var count: Int { given.count + announced.count }

    var all: [ServerAddress] { given + announced }

    /// The next server to try.
    mutating func next() -> ServerAddress {
        let server = all[position % count]
        position = (position + 1) % count
        return server
    }

    /// The most announced servers that are kept: one server must not fill the memory, nor keep the client from trying
    /// the others for long.
    static let maximumAnnounced = 256

    /// Takes over what a server announces, up to ``maximumAnnounced``. An address that is no longer announced is
    /// removed, a given one never.
    mutating func update(announced addresses: [String], by current: ServerAddress) {
        let upcoming = all[position % count]
        var fresh: [ServerAddress] = []
        for text in addresses.prefix(Self.maximumAnnounced) {
            guard let address = current.announced(text), !contains(address, in: given), !contains(address, in: fresh)
            else { continue }
            fresh.append(address)
        }
        // The current server may be an announced one that its own announcement leaves out.
        if contains(current, in: announced), !contains(current, in: fresh) { fresh.append(current) }
        announced = fresh
        position = all.firstIndex(of: upcoming) ?? 0
    }

    private func contains(_ address: ServerAddress, in list: [ServerAddress]) -> Bool {
        list.contains { $0.host == address.host && $0.port == address.port }
    }
}
