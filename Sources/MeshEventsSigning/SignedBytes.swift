/// The bytes that are signed:
///
///     00 "mesh-events v1" 00 | length of the subject | subject | length of the payload | payload
///
/// Lengths are unsigned, 32 bits, big-endian. The subject is included so that the message cannot be sent again on
/// another subject. The lengths are included so that no bytes can move from one part to the other. The first byte is
/// zero: a challenge of a NATS server never begins so, and the key may be used to log in too.
enum SignedBytes {
    private static let tag: [UInt8] = [0] + Array("mesh-events v1".utf8) + [0]

    static func make(subject: RawSpan, payload: RawSpan) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(tag.count + 8 + subject.byteCount + payload.byteCount)
        bytes.append(contentsOf: tag)
        append(subject, to: &bytes)
        append(payload, to: &bytes)
        return bytes
    }

    private static func append(_ part: RawSpan, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: UInt32(truncatingIfNeeded: part.byteCount).bigEndian) { bytes.append(contentsOf: $0) }
        part.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }
}
