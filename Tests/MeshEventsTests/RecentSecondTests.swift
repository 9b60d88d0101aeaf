import MeshEvents
import Testing

struct RecentSecondTests {
    @Test func `a decoder that remembers the last second reads every time as one that does not`() throws {
        var generator = SeededGenerator(seed: 12)
        let seconds = [
            "2026-11-24T09:04:34", "2026-11-24T09:04:35", "2026-11-24t09:04:34", "2016-12-31T23:59:60",
            "2016-12-31T23:59:59", "1969-12-31T23:59:59", "2262-04-11T23:47:16", "1677-09-21T00:12:43",
            "2026-02-29T00:00:00", "2026-11-24T09:04:6x", "0000-00-00T00:00:00",
        ]
        var decoder = EventDecoder()
        for _ in 0..<20_000 {
            let digits = (0..<Int.random(in: 0...12, using: &generator)).compactMap { _ in
                "0123456789x".utf8.randomElement(using: &generator)
            }
            let zone = ["Z", "Z", "Z", "z", "+01:00", ""].randomElement(using: &generator) ?? ""
            let point = digits.isEmpty ? "" : "."
            let text =
                (seconds.randomElement(using: &generator) ?? "") + point
                + String(decoding: digits, as: UTF8.self) + zone
            let payload = Array(#"{"type":"user.x","node":"n","timestamp":"\#(text)","data":null}"#.utf8)
            let received = Timestamp(nanosecondsSinceEpoch: 42)
            let event = try Array("events.user.x".utf8).withUnsafeBytes { subject in
                try payload.withUnsafeBytes { try decoder.decode(subject: subject, payload: $0, received: received) }
            }
            #expect(event.timestamp == ((try? Timestamp(rfc3339: text)) ?? received), "\(text)")
        }
    }
}
