import MeshEvents
import NIOCore

/// Writes the lines of server-sent events (the HTML standard, "Server-sent events").
enum ServerSentEvent {
    /// The bytes of one server-sent event.
    ///
    /// - Parameters:
    ///   - name: its type; `nil` for `message`.
    ///   - id: the position that a browser sends back when it reconnects.
    ///   - data: UTF-8; it may have line breaks.
    static func buffer(_ name: String? = nil, id: StreamPosition? = nil, _ data: some Collection<UInt8>) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(data.count + 64)
        if let name { buffer.writeString("event: \(name)\n") }
        if let id { buffer.writeString("id: \(id.text)\n") }
        for line in data.split(omittingEmptySubsequences: false, whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
            buffer.writeString("data: ")
            buffer.writeBytes(line)
            buffer.writeString("\n")
        }
        buffer.writeString("\n")
        return buffer
    }

    /// The bytes that set how long a browser waits before it reconnects, in milliseconds.
    static func retry(milliseconds: Int) -> ByteBuffer { ByteBuffer(string: "retry: \(milliseconds)\n\n") }
}
