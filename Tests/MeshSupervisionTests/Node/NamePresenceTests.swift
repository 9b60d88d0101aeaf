import MeshEvents
import Testing

@testable import MeshSupervision

@Suite("Two nodes of one name")
struct NamePresenceTests {
    private let started = Timestamp(nanosecondsSinceEpoch: 1_000_000_000_000)

    private func sighting(_ instance: String, at time: Duration, host: String = "cellar") -> NamePresence.Sighting {
        .init(instance: instance, host: host, time: started.adding(time), interval: .seconds(10))
    }

    private func presence() -> NamePresence { NamePresence(instance: "own", started: started) }

    @Test("its own events are no conflict")
    func own() {
        var presence = presence()
        presence.see(sighting("own", at: .seconds(1)), at: .seconds(1))
        #expect(presence.rival == nil)
    }

    @Test("an event made after the start is one at once, until three intervals of silence")
    func live() {
        var presence = presence()
        presence.see(sighting("other", at: .seconds(5)), at: .seconds(5))
        #expect(presence.rival?.instance == "other")
        #expect(presence.rival?.host == "cellar")
        presence.advance(to: .milliseconds(34_999))
        #expect(presence.rival != nil)
        presence.advance(to: .seconds(35))
        #expect(presence.rival == nil)
    }

    @Test("late events of a previous life are none, in a burst or alone")
    func previousLife() {
        var presence = presence()
        for second in -30..<0 { presence.see(sighting("old", at: .seconds(second)), at: .milliseconds(second + 31)) }
        #expect(presence.rival == nil)
        presence.leave()
        presence.see(sighting("old", at: .seconds(-1)), at: .seconds(9))
        #expect(presence.rival == nil)
    }

    @Test("a node whose clock is behind is noticed at its second sign of life")
    func clockBehind() {
        var presence = presence()
        presence.see(sighting("other", at: .seconds(-3600)), at: .seconds(1))
        #expect(presence.rival == nil)
        presence.see(sighting("other", at: .seconds(-3590)), at: .seconds(10))
        #expect(presence.rival?.instance == "other")
    }

    @Test("a node that leaves is gone at once; of several, silence decides")
    func leaving() {
        var presence = presence()
        presence.see(sighting("one", at: .seconds(1)), at: .seconds(1))
        presence.leave()
        #expect(presence.rival == nil)
        presence.see(sighting("one", at: .seconds(2)), at: .seconds(2))
        presence.see(sighting("two", at: .seconds(2)), at: .seconds(2))
        presence.leave()
        presence.see(sighting("two", at: .seconds(12)), at: .seconds(12))
        presence.advance(to: .seconds(32))
        #expect(presence.rival?.instance == "two")
        presence.leave()
        #expect(presence.rival == nil)
    }

    @Test("a stranger who makes up instances does not fill the memory")
    func madeUp() {
        var presence = presence()
        for number in 0..<100_000 { presence.see(sighting("\(number)", at: .seconds(1)), at: .seconds(1)) }
        #expect(presence.rival != nil)
        presence.advance(to: .seconds(31))
        #expect(presence.rival == nil)
    }
}
