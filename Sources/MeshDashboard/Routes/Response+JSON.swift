import HTTPTypes
import Hummingbird
import NIOCore

extension Response {
    /// How many bytes of an answer are passed to the connection at once. A client must take them within a time limit,
    /// which has to be enough for a slow line.
    private static let partSize = 64 << 10

    /// An answer in JSON.
    static func json(_ bytes: some Sequence<UInt8>, status: HTTPResponse.Status = .ok) -> Response {
        json(ByteBuffer(bytes: bytes), status: status)
    }

    /// An answer in JSON.
    static func json(_ bytes: ByteBuffer, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status,
            headers: [.contentType: "application/json; charset=utf-8", .cacheControl: "no-store"],
            body: bytes.readableBytes <= partSize ? ResponseBody(byteBuffer: bytes) : parts(of: bytes)
        )
    }

    private static func parts(of bytes: ByteBuffer) -> ResponseBody {
        ResponseBody(contentLength: bytes.readableBytes) { writer in
            var rest = bytes
            while let part = rest.readSlice(length: min(partSize, rest.readableBytes)), part.readableBytes > 0 {
                try await writer.write(part)
            }
            try await writer.finish(nil)
        }
    }
}
