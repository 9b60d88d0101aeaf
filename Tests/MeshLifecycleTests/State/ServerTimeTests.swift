import MeshEvents
import Testing

@testable import MeshLifecycle

@Suite struct ServerTimeTests {
    @Test func liveEventsTellTheDifferenceOfTheClocks() {
        var time = ServerTime()
        // From history nothing follows but that the server's clock is at least there.
        time.observe(Mesh.time(-500), local: Mesh.time(0), isLive: false)
        #expect(time.now(Mesh.time(1)) == Mesh.time(1))
        time.observe(Mesh.time(30), local: Mesh.time(1), isLive: false)
        #expect(time.now(Mesh.time(1)) == Mesh.time(30))
        // Slow ways make it look late; the fastest is the truth.
        time.observe(Mesh.time(95), local: Mesh.time(10), isLive: true)
        time.observe(Mesh.time(70), local: Mesh.time(11), isLive: true)
        #expect(time.now(Mesh.time(20)) == Mesh.time(105))
    }

    @Test func aClockHereThatIsAheadIsCorrected() {
        var time = ServerTime()
        #expect(time.observe(Mesh.time(0), local: Mesh.time(3_600), isLive: true) == .seconds(-3_600))
        #expect(time.now(Mesh.time(3_610)) == Mesh.time(10))
    }
}
