import MeshConcurrency
import NIOCore

/// The open connections. Connections without access, called strangers here, are limited for each address and
/// altogether, and by the file descriptors that the process needs for other things. A new connection is always accepted,
/// and the oldest stranger is closed for it: clients without access cannot keep other users out.
final class ConnectionTable: Sendable {
    /// The limits on the number of connections.
    struct Limits: Sendable {
        /// Connections without access (strangers) from one address.
        var strangersPerAddress = 48
        /// All connections without access.
        var strangers = 192
        /// Connections with access; further ones count as strangers.
        var trusted = 320
        /// All connections that may be open even while descriptors are scarce.
        var least = 4
    }

    private struct Entry: Sendable {
        let channel: any Channel
        let address: PeerAddress
        /// Goes up with each connection.
        let number: UInt64
        var isTrusted = false
    }

    private struct State {
        var entries: [ObjectIdentifier: Entry] = [:]
        /// The number of strangers from each address.
        var strangers: [PeerAddress: Int] = [:]
        var lastNumber: UInt64 = 0
        var trusted = 0
        var isEnded = false
    }

    private let limits: Limits
    /// Whether the process has too few file descriptors for one more connection.
    private let isScarce: @Sendable () -> Bool
    private let state = Locked(State())

    init(limits: Limits = Limits(), isScarce: @escaping @Sendable () -> Bool = { false }) {
        self.limits = limits
        self.isScarce = isScarce
    }

    /// How many connections are open.
    var count: Int { state.withLock { $0.entries.count } }

    /// Adds a connection, and closes another one when a limit is exceeded.
    func opened(_ channel: any Channel) {
        let isScarce = isScarce()
        let (isNew, victim) = state.withLock { state -> (Bool, (any Channel)?) in
            if state.isEnded { return (false, channel) }
            state.lastNumber += 1
            let entry = Entry(channel: channel, address: PeerAddress(channel.remoteAddress), number: state.lastNumber)
            state.entries[ObjectIdentifier(channel)] = entry
            state.strangers[entry.address, default: 0] += 1
            guard let victim = stranger(toLeave: entry.address, isScarce, state) else { return (true, nil) }
            // Removed at once: otherwise many connections could be opened before one is closed.
            remove(victim, &state)
            return (true, victim.channel)
        }
        if isNew { channel.closeFuture.whenComplete { _ in self.closed(channel) } }
        victim?.close(promise: nil)
    }

    /// Closes a stranger, the oldest one of the address with the most, when there is one.
    func makeRoom() {
        let victim = state.withLock { state -> (any Channel)? in
            guard let victim = Self.oldestStranger(state, of: nil) else { return nil }
            remove(victim, &state)
            return victim.channel
        }
        victim?.close(promise: nil)
    }

    /// Notes that a request on this connection was given access.
    func trust(_ channel: any Channel) {
        state.withLock { state in
            let id = ObjectIdentifier(channel)
            guard let entry = state.entries[id], !entry.isTrusted, state.trusted < limits.trusted else { return }
            state.entries[id]?.isTrusted = true
            state.trusted += 1
            Self.remove(entry.address, &state)
        }
    }

    /// Whether a request on this connection was given access.
    func isTrusted(_ channel: any Channel) -> Bool {
        state.withLock { $0.entries[ObjectIdentifier(channel)]?.isTrusted ?? false }
    }

    /// Closes every open connection after `grace`, whatever its client does, and each new one at once.
    func end(within grace: TimeAmount) {
        let channels = state.withLock { state in
            state.isEnded = true
            return state.entries.values.map(\.channel)
        }
        for channel in channels {
            channel.eventLoop.scheduleTask(in: grace) { channel.close(promise: nil) }
        }
    }

    private func closed(_ channel: any Channel) {
        state.withLock { state in
            guard let entry = state.entries[ObjectIdentifier(channel)] else { return }
            remove(entry, &state)
        }
    }

    private func remove(_ entry: Entry, _ state: inout State) {
        state.entries[ObjectIdentifier(entry.channel)] = nil
        if entry.isTrusted { state.trusted -= 1 } else { Self.remove(entry.address, &state) }
    }

    private static func remove(_ address: PeerAddress, _ state: inout State) {
        let rest = (state.strangers[address] ?? 1) - 1
        state.strangers[address] = rest > 0 ? rest : nil
    }

    /// The stranger to close; `nil` when no limit is exceeded. It is the oldest one of this address when the address
    /// has too many, or, when there are too many altogether, of the address with the most.
    private func stranger(toLeave address: PeerAddress, _ isScarce: Bool, _ state: State) -> Entry? {
        if state.strangers[address] ?? 0 > limits.strangersPerAddress { return Self.oldestStranger(state, of: address) }
        let isFull = state.entries.count - state.trusted > limits.strangers
        guard isFull || isScarce && state.entries.count > limits.least else { return nil }
        return Self.oldestStranger(state, of: nil)
    }

    /// The oldest stranger of an address, or of the address with the most.
    private static func oldestStranger(_ state: State, of address: PeerAddress?) -> Entry? {
        let strangers = state.entries.values.lazy.filter { !$0.isTrusted }
        if let address { return strangers.filter { $0.address == address }.min { $0.number < $1.number } }
        return strangers.min { one, other in
            let (count, otherCount) = (state.strangers[one.address] ?? 0, state.strangers[other.address] ?? 0)
            return count == otherCount ? one.number < other.number : count > otherCount
        }
    }
}
