import Foundation
import NIOCore

/// Writes the client's commands into a buffer. Callers have validated all arguments.
enum CommandWriter {
    /// `PUB subject [reply] size` or `HPUB subject [reply] headerSize size`, and the bytes: one pass, no allocation
    /// beyond the buffer's growth.
    static func publish(
        into buffer: inout ByteBuffer,
        subject: UnsafeRawBufferPointer,
        reply: UnsafeRawBufferPointer,
        headers: UnsafeRawBufferPointer,
        payload: UnsafeRawBufferPointer
    ) {
        let upperBound = subject.count + reply.count + headers.count + payload.count + 64
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: upperBound) { target in
            guard let start = target.baseAddress, target.count >= upperBound else { return 0 }
            var writer = RawWriter(start)
            if headers.isEmpty { writer.write("PUB ") } else { writer.write("HPUB ") }
            writer.write(subject)
            writer.write(" ")
            if !reply.isEmpty {
                writer.write(reply)
                writer.write(" ")
            }
            if !headers.isEmpty {
                writer.write(decimal: headers.count)
                writer.write(" ")
            }
            writer.write(decimal: headers.count + payload.count)
            writer.write("\r\n")
            writer.write(headers)
            writer.write(payload)
            writer.write("\r\n")
            return writer.count
        }
    }

    static func subscribe(into buffer: inout ByteBuffer, subject: String, queueGroup: String?, sid: UInt64) {
        let group = queueGroup.map { " \($0)" } ?? ""
        buffer.writeString("SUB \(subject)\(group) \(sid)\r\n")
    }

    /// Ends a subscription, at once or when `count` messages in all have been delivered.
    static func unsubscribe(into buffer: inout ByteBuffer, sid: UInt64, after count: UInt64? = nil) {
        let limit = count.map { " \($0)" } ?? ""
        buffer.writeString("UNSUB \(sid)\(limit)\r\n")
    }
}

/// Writes into memory that is known to be large enough.
private struct RawWriter {
    private let start: UnsafeMutableRawPointer
    private(set) var count = 0

    init(_ start: UnsafeMutableRawPointer) { self.start = start }

    // Inlined, so that a few bytes are a move and not a call.
    @inline(__always)
    mutating func write(_ text: StaticString) {
        (start + count).copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
        count &+= text.utf8CodeUnitCount
    }

    @inline(__always)
    mutating func write(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        (start + count).copyMemory(from: source, byteCount: bytes.count)
        count &+= bytes.count
    }

    mutating func write(decimal value: Int) {
        var digits = 1
        var power = 10
        while value >= power {
            digits += 1
            power *= 10
        }
        var rest = value
        for index in stride(from: count + digits - 1, through: count, by: -1) {
            start.storeBytes(
                of: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10),
                toByteOffset: index,
                as: UInt8.self
            )
            rest /= 10
        }
        count += digits
    }
}

/// The JSON of `CONNECT`.
struct ConnectCommand: Encodable {
    let verbose = false
    let pedantic = false
    let tlsRequired: Bool
    let name: String?
    let lang = "swift"
    let version = PackageVersion.current
    let `protocol` = 1
    let echo: Bool
    let headers: Bool
    let noResponders: Bool
    let user: String?
    let pass: String?
    let authToken: String?
    let jwt: String?
    let nkey: String?
    let sig: String?

    private enum CodingKeys: String, CodingKey {
        case verbose, pedantic, name, lang, version, `protocol`, echo, headers, user, pass, jwt, nkey, sig
        case tlsRequired = "tls_required"
        case noResponders = "no_responders"
        case authToken = "auth_token"
    }

    init(name: String?, tls: Bool, echo: Bool, info: ServerInfo, login: LoginFields) {
        tlsRequired = tls
        self.name = name
        self.echo = echo
        headers = info.supportsHeaders
        noResponders = info.supportsHeaders
        user = login.user
        pass = login.password
        authToken = login.token
        jwt = login.jwt
        nkey = login.nkey
        sig = login.signature
    }

    /// The whole line.
    func line() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes]
        return "CONNECT \(String(decoding: try encoder.encode(self), as: UTF8.self))\r\n"
    }
}
