import Foundation
import NIOCore
import NIOFoundationCompat

/// Any answer, decoded only for its error.
private struct Failure: Decodable { let error: JetStreamError.Answer? }

/// JSON of the API: requests with sorted members, answers that are either a value or an error.
enum APICoding {
    /// Encodes a request.
    static func encode(_ request: some Encodable) throws(JetStreamError) -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return ByteBuffer(data: try encoder.encode(request))
        } catch {
            throw JetStreamError(.invalidArgument, "the request cannot be written as JSON: \(error)")
        }
    }

    /// Decodes any JSON.
    static func decode<Value: Decodable>(_ type: Value.Type, from bytes: UnsafeRawBufferPointer) throws -> Value {
        try JSONDecoder().decode(type, from: Data(bytes))
    }

    /// Decodes an answer, or throws the error it carries.
    static func decodeAnswer<Value: Decodable>(
        _ type: Value.Type,
        from payload: ByteBuffer
    ) throws(JetStreamError) -> Value {
        let data = Data(buffer: payload)
        let decoder = JSONDecoder()
        if let failure = try? decoder.decode(Failure.self, from: data), let error = failure.error {
            throw error.error
        }
        do {
            return try decoder.decode(type, from: data)
        } catch {
            let text = String(decoding: data.prefix(100), as: UTF8.self)
            throw JetStreamError(
                .invalidAnswer,
                "the server's answer is not what the JetStream API describes: \(text.debugDescription)"
            )
        }
    }
}
