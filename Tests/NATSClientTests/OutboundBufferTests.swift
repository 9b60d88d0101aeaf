import Foundation
import Synchronization
import TestSupport
import Testing

@testable import NATSClient

/// When publishers wake the event loop, and when it looks after what waits by itself.
struct OutboundBufferTests {
    private let wakeUps = Wakes()
    private let buffer: OutboundBuffer

    private final class Wakes: Sendable {
        let count = Atomic(0)
    }

    init() throws {
        let wakeUps = wakeUps
        buffer = OutboundBuffer(highWaterMark: 8 << 20) { wakeUps.count.add(1, ordering: .relaxed) }
        buffer.connected(try Self.greeting)
        // What the event loop does when it is connected.
        #expect(buffer.take().isEmpty)
    }

    private static var greeting: ServerInfo {
        get throws {
            try JSONDecoder().decode(ServerInfo.self, from: Data(#"{"headers":true,"max_payload":1048576}"#.utf8))
        }
    }

    /// How often the event loop was woken so far.
    private var woken: Int { wakeUps.count.load(ordering: .relaxed) }

    private func publish(_ count: Int, bytes: Int = 100) throws {
        let payload = [UInt8](repeating: 0x78, count: bytes)
        try Array("events.user.x".utf8).withUnsafeBytes { subject in
            try payload.withUnsafeBytes { payload in
                for _ in 0..<count {
                    try buffer.append(
                        subject: subject,
                        reply: UnsafeRawBufferPointer(start: nil, count: 0),
                        headers: UnsafeRawBufferPointer(start: nil, count: 0),
                        payload: payload
                    )
                }
            }
        }
    }

    @Test func `the first message wakes the event loop, those before the flush do not`() throws {
        try publish(5)
        #expect(woken == 1)
        let chunk = buffer.take()
        #expect(chunk.lastMessage == 5)
        try publish(2)
        #expect(woken == 1, "what comes while it writes leaves with the next flush")
        #expect(buffer.written(chunk) == .flush)
    }

    /// What is being written when the connection is lost waits no more, and nothing else would wake who waits for room.
    @Test func `who waits for room is woken when a lost connection makes it`() async throws {
        let small = OutboundBuffer(highWaterMark: 1_000) {}
        small.connected(try Self.greeting)
        let payload = [UInt8](repeating: 0x78, count: 800)
        try Array("events.user.x".utf8).withUnsafeBytes { subject in
            let none = UnsafeRawBufferPointer(start: nil, count: 0)
            _ = try payload.withUnsafeBytes {
                try small.append(subject: subject, reply: none, headers: none, payload: $0)
            }
        }
        #expect(!small.take().isEmpty)
        let woken = Task { try await small.waitUntilWritable() }
        try await eventually("somebody to wait") { small.hasWaiters }
        small.disconnected()
        try await withDeadline(.seconds(20), "the wake") { try await woken.value }
    }

    @Test func `single messages never wait for company`() throws {
        for round in 1...20 {
            try publish(1)
            #expect(woken == round)
            #expect(buffer.written(buffer.take()) == .rest)
        }
    }

    @Test func `after a burst the event loop comes back by itself, also when nothing waits yet`() throws {
        try publish(100)
        #expect(buffer.written(buffer.take()) == .linger)
        try publish(100)
        #expect(woken == 1)
        #expect(buffer.written(buffer.take()) == .linger)
        // The burst is over: the flush after the pause finds nothing.
        #expect(buffer.take().isEmpty)
        try publish(1)
        #expect(woken == 2)
        #expect(buffer.written(buffer.take()) == .rest)
    }

    @Test func `what is worth a flush does not wait, and neither does a subscription`() throws {
        try publish(100)
        #expect(buffer.written(buffer.take()) == .linger)
        try publish(70, bytes: 1_000)
        #expect(woken == 2)
        try publish(70, bytes: 1_000)
        #expect(woken == 2)
        #expect(buffer.written(buffer.take()) == .linger)
        buffer.subscribe(to: "events.>", queueGroup: nil, sid: 1)
        #expect(woken == 3)
    }

    @Test func `a burst that a lost connection ended keeps nobody from waking the next one`() throws {
        try publish(100)
        #expect(buffer.written(buffer.take()) == .linger)
        buffer.disconnected()
        try publish(100)
        #expect(woken == 1)
        buffer.connected(try Self.greeting)
        let chunk = buffer.take()
        #expect(chunk.lastMessage == 200)
        _ = buffer.written(chunk)
        #expect(buffer.take().isEmpty)
        try publish(1)
        #expect(woken == 2)
    }
}
