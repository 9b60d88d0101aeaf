/// The bytes that a signature is about:
///
///     00 "mesh-events v1" 00 | length of the subject | subject | length of the payload | payload
///
/// Lengths are unsigned, 32 bits, big-endian. The subject is in it, so that a message cannot be sent again on another
/// one, and the lengths, so that no bytes move from one to the other. It begins with a zero byte, which no challenge of
/// a NATS server does: the key may be one that logs in too.
enum SignedBytes {
    private static let tag: [UInt8] = [0] + Array("mesh-events v1".utf8) + [0]

    static func make(subject: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(tag.count + 8 + subject.count + payload.count)
        bytes.append(contentsOf: tag)
        for part in [subject, payload] {
            withUnsafeBytes(of: UInt32(truncatingIfNeeded: part.count).bigEndian) { bytes.append(contentsOf: $0) }
            bytes.append(contentsOf: part)
        }
        return bytes
    }
}
