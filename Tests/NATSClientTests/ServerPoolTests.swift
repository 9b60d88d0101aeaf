import NIOCore
import NIOEmbedded
import NIOPosix
import Testing

@testable import NATSClient

/// Which servers, and which addresses of a name, are tried in which order.
struct ServerPoolTests {
    private let given = (0..<8).map { ServerAddress(host: "s\($0)") }

    private func pass(_ pool: inout ServerPool) -> [String] { (0..<pool.count).map { _ in pool.next().host } }

    @Test func aRandomOrderMeetsEachServerOnceInAPass() {
        var pool = ServerPool(given, randomizes: true)
        let first = pass(&pool)
        #expect(Set(first) == Set(given.map(\.host)) && first.count == 8)
        #expect(pass(&pool) == first)
        // Two of 40 320 orders.
        let others = (0..<20).map { _ in
            var pool = ServerPool(given, randomizes: true)
            return pass(&pool)
        }
        #expect(others.contains { $0 != first })
    }

    @Test func withoutTheOrderIsTheOneThatWasGiven() {
        var pool = ServerPool(given)
        #expect(pass(&pool) == given.map(\.host))
    }

    @Test func announcedServersAreLeftOutWhenTheyAreNotWanted() {
        var pool = ServerPool([given[0]], takesAnnounced: false)
        pool.update(announced: ["a:1", "b:2"], by: given[0])
        #expect(pool.all.map(\.host) == ["s0"])
    }

    @Test func announcedServersKeepTheirPlacesWhenTheyAreAnnouncedAgain() {
        var pool = ServerPool([given[0]], randomizes: true)
        let addresses = (0..<10).map { "a\($0):1" }
        pool.update(announced: addresses, by: given[0])
        let order = pool.all.map(\.host)
        #expect(Set(order) == Set(["s0"] + (0..<10).map { "a\($0)" }))
        pool.update(announced: addresses.reversed(), by: given[0])
        #expect(pool.all.map(\.host) == order)
        pool.update(announced: Array(addresses.dropFirst(5)) + ["new:1"], by: given[0])
        let left = pool.all.map(\.host).filter { $0 != "new" }
        #expect(left == order.filter { !(0..<5).map { "a\($0)" }.contains($0) })
        #expect(pool.count == 7)
    }

    @Test func everyAddressOfANameIsTriedTheOneThatHasFailedLast() throws {
        let loop = EmbeddedEventLoop()
        let addresses = try (1...4).map { try SocketAddress(ipAddress: "192.0.2.\($0)", port: 4222) }
        let ordered = HostResolver(eventLoop: loop, shuffles: false, last: nil)
        #expect(ordered.order(addresses) == addresses)
        let avoiding = HostResolver(eventLoop: loop, shuffles: false, last: addresses[0])
        #expect(avoiding.order(addresses) == addresses.dropFirst() + [addresses[0]])
        let shuffling = HostResolver(eventLoop: loop, shuffles: true, last: addresses[2])
        for _ in 0..<20 {
            let order = shuffling.order(addresses)
            #expect(Set(order) == Set(addresses) && order.last == addresses[2])
        }
        // An address needs no look-up; the other query has nothing to add.
        #expect(try ordered.initiateAQuery(host: "192.0.2.1", port: 4222).wait() == [addresses[0]])
        #expect(try ordered.initiateAAAAQuery(host: "192.0.2.1", port: 4222).wait() == [])
    }

    @Test func theSystemsAddressesOfLocalhost() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let resolver = HostResolver(eventLoop: loop, shuffles: true, last: nil)
        let addresses = try await resolver.initiateAQuery(host: "localhost", port: 4222).get()
        #expect(addresses.contains { $0.ipAddress == "127.0.0.1" && $0.port == 4222 }, "\(addresses)")
    }
}
