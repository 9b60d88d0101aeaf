/// The code that follows an answer's number in its reply subject, so that a user cannot derive the next reply subject
/// from those seen. Every user who receives a message sees its reply subject, and the server sends answers to whatever
/// reply subject another user's message names.
///
/// It is a keyed hash of the number: 64 bits, under a random key of 128 bits that never leaves the process.
struct ReplyCode: Sendable {
    /// Letters of a code; 4 bits each.
    static let length = 16

    private let key: (UInt64, UInt64)

    init() {
        key = (UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max))
    }

    private func hash(_ id: UInt64, isShared: Bool) -> UInt64 {
        // The standard library's SipHash; its own seed is one more secret.
        var hasher = Hasher()
        hasher.combine(key.0)
        hasher.combine(key.1)
        hasher.combine(id)
        hasher.combine(isShared)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    /// Writes the code of a number.
    func write(_ id: UInt64, isShared: Bool, into buffer: UnsafeMutableBufferPointer<UInt8>) {
        var rest = hash(id, isShared: isShared)
        for index in 0..<Self.length {
            buffer.initializeElement(at: index, to: UInt8(ascii: "a") + UInt8(rest & 15))
            rest >>= 4
        }
    }

    /// Whether these bytes are the code of a number.
    func matches(_ bytes: some Collection<UInt8>, _ id: UInt64, isShared: Bool) -> Bool {
        guard bytes.count == Self.length else { return false }
        var rest = hash(id, isShared: isShared)
        for byte in bytes {
            guard byte == UInt8(ascii: "a") + UInt8(rest & 15) else { return false }
            rest >>= 4
        }
        return true
    }
}
