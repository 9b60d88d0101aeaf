import MeshEvents
import NIOCore
import NIOHTTP1
import TestSupport

@testable import MeshDashboard

/// Reads server-sent events as a browser does. The first message is the answer's status.
struct EventReader {
    struct Message: Sendable {
        var name = "message"
        var id: UInt64?
        var data = ""

        var json: JSONValue { get throws { try EventData(json: data).value } }
    }

    private var messages: AsyncThrowingStream<Message, any Error>.Iterator
    private let pump: Task<Void, Never>
    /// The last id that came.
    private(set) var lastID: UInt64?

    init(_ inbound: NIOAsyncChannelInboundStream<HTTPClientResponsePart>) {
        let (stream, continuation) = AsyncThrowingStream.makeStream(of: Message.self)
        messages = stream.makeAsyncIterator()
        pump = Task {
            do {
                var bytes: [UInt8] = []
                for try await part in inbound {
                    switch part {
                    case .head(let head): continuation.yield(Message(name: "status", data: "\(head.status.code)"))
                    case .body(let buffer): bytes += buffer.readableBytesView
                    case .end: return continuation.finish()
                    }
                    // Blocks end with an empty line.
                    var begin = 0
                    for index in bytes.indices.dropFirst() where bytes[index] == 0x0A && bytes[index - 1] == 0x0A {
                        if let message = Self.parse(bytes[begin..<index]) { continuation.yield(message) }
                        begin = index + 1
                    }
                    bytes.removeFirst(begin)
                }
                continuation.finish()
            } catch {
                continuation.finish(throwing: error)
            }
        }
    }

    /// Reads no more.
    func cancel() { pump.cancel() }

    /// The next message; `nil` at the end.
    mutating func next() async throws -> Message? {
        let message = try await messages.next(isolation: #isolation)
        if let id = message?.id { lastID = id }
        return message
    }

    /// The next message of a kind; others are passed over.
    mutating func next(_ name: String) async throws -> Message {
        while let message = try await next() {
            if message.name == name { return message }
        }
        throw TestSupportError("the stream ended before a message \(name)")
    }

    /// The data of so many events, as `number` in each.
    mutating func numbers(_ count: Int) async throws -> [Int] {
        var numbers: [Int] = []
        while numbers.count < count { numbers.append(try await next("message").json["data"]?["number"]?.int ?? -1) }
        return numbers
    }

    private static func parse(_ block: ArraySlice<UInt8>) -> Message? {
        var message = Message()
        var lines: [String] = []
        for line in block.split(separator: 0x0A).map({ String(decoding: $0, as: UTF8.self) }) {
            if line.hasPrefix("event: ") { message.name = String(line.dropFirst(7)) }
            if line.hasPrefix("id: ") { message.id = StreamPosition(line.dropFirst(4))?.sequence }
            if line.hasPrefix("data: ") { lines.append(String(line.dropFirst(6))) }
        }
        message.data = lines.joined(separator: "\n")
        return lines.isEmpty ? nil : message
    }
}
