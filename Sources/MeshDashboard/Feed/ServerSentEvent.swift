import MeshEvents
import NIOCore

/// Writes the lines of server-sent events (the HTML standard, "Server-sent events").
enum ServerSentEvent {
    /// One event.
    ///
    /// - Parameters:
    ///   - name: its type; `nil` for `message`.
    ///   - id: what a browser that comes back says it had last.
    ///   - data: UTF-8; line breaks in it come out as they should.
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

    /// How long a browser waits before it comes back, in milliseconds.
    static func retry(milliseconds: Int) -> ByteBuffer { ByteBuffer(string: "retry: \(milliseconds)\n\n") }
}
