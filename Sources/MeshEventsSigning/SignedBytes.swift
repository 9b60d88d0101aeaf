/// The bytes that are signed:
///
///     00 "mesh-events v1" 00 | length of the subject | subject | length of the payload | payload
///
/// Lengths are unsigned, 32 bits, big-endian. The subject is included so that the message cannot be sent again on
/// another subject. The lengths are included so that no bytes can move from one part to the other. The first byte is
/// zero: a challenge of a NATS server never begins so, and the key may be used to log in too.
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
