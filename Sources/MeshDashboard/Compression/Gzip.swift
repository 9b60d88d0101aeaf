import CZlib
import NIOCore

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
    static func compressed(_ bytes: ByteBuffer, _ effort: Effort = .quick) -> ByteBuffer? {
        let count = bytes.readableBytes
        guard (1...maximumBytes).contains(count) else { return nil }
        var output = ByteBufferAllocator().buffer(capacity: count)
        bytes.withUnsafeReadableBytes { input in
            _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { room in
                // No room for what is not shorter.
                deflated(input, into: UnsafeMutableRawBufferPointer(rebasing: room.prefix(count)), effort)
            }
        }
        guard output.readableBytes > 0 else { return nil }
        // Some are kept for long.
        output.shrinkBufferCapacity(to: output.readableBytes)
        return output
    }

    /// Compresses bytes into the output; how many it has then, 0 when there is no room or no memory for it.
    private static func deflated(
        _ input: UnsafeRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer,
        _ effort: Effort
    ) -> Int {
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
            guard state == Z_OK else { return 0 }
            defer { deflateEnd(stream) }
            stream.pointee.next_in = input.bindMemory(to: UInt8.self).baseAddress
            stream.pointee.avail_in = UInt32(input.count)
            stream.pointee.next_out = output.bindMemory(to: UInt8.self).baseAddress
            stream.pointee.avail_out = UInt32(output.count)
            return deflate(stream, Z_FINISH) == Z_STREAM_END ? Int(stream.pointee.total_out) : 0
        }
    }
}
