import CZlib

/// Compresses bytes in gzip's format (RFC 1952), by the system's zlib.
enum Gzip {
    /// How much work a shorter result is worth.
    enum Effort {
        /// For answers that are made anew for each request.
        case quick
        /// For what is compressed once.
        case most

        fileprivate var level: Int32 {
            switch self {
            case .quick: 4
            case .most: 9
            }
        }
    }

    /// The most bytes that are compressed at once.
    static let maximumBytes = 64 << 20

    /// The bytes, compressed; `nil` when that makes them no shorter, when they are more than ``maximumBytes``, or when
    /// there is no memory for it.
    static func compressed(_ bytes: [UInt8], _ effort: Effort = .quick) -> [UInt8]? {
        guard !bytes.isEmpty, bytes.count <= maximumBytes else { return nil }
        return bytes.withUnsafeBufferPointer { compressed($0, effort) }
    }

    private static func compressed(_ input: UnsafeBufferPointer<UInt8>, _ effort: Effort) -> [UInt8]? {
        var stream = z_stream()
        // zlib refuses a stream that has moved, so that one pointer serves all calls.
        return withUnsafeMutablePointer(to: &stream) { stream in
            let size = Int32(MemoryLayout<z_stream>.size)
            // 15 bits of window; 16 more for gzip's head and end.
            let state = deflateInit2_(
                stream,
                effort.level,
                Z_DEFLATED,
                15 + 16,
                8,
                Z_DEFAULT_STRATEGY,
                ZLIB_VERSION,
                size
            )
            guard state == Z_OK else { return nil }
            defer { deflateEnd(stream) }
            // No room for what is not shorter.
            let output = [UInt8](unsafeUninitializedCapacity: input.count) { buffer, count in
                stream.pointee.next_in = input.baseAddress
                stream.pointee.avail_in = UInt32(input.count)
                stream.pointee.next_out = buffer.baseAddress
                stream.pointee.avail_out = UInt32(input.count)
                count = deflate(stream, Z_FINISH) == Z_STREAM_END ? Int(stream.pointee.total_out) : 0
            }
            return output.isEmpty ? nil : output
        }
    }
}
