import HTTPTypes
import Hummingbird
import MeshEvents
import NIOCore

/// The body of `POST /api/events`: the event to emit.
struct EmitBody {
    private static let maximumSize = 1 << 20

    let type: EventType
    let data: EventData

    /// Reads the body.
    ///
    /// - Throws: `APIError`, `invalidEventType`, `invalidData`.
    init(_ request: Request) async throws {
        let body = try await request.jsonBody(upTo: Self.maximumSize)
        if let unknown = body.keys.first(where: { $0 != "type" && $0 != "data" }) {
            throw APIError(
                .badRequest,
                "invalidData",
                "an event to emit has type and data, not \(unknown.debugDescription)"
            )
        }
        guard let type = body["type"]?.string else {
            throw APIError(.badRequest, "invalidEventType", "the type is missing, for example user.training.complete")
        }
        self.type = try EventType(type)
        data = try body["data"].map { try EventData(json: $0.value.description) } ?? nil
        try data.checkNumbers()
    }
}

extension Request {
    /// The body, a JSON object.
    ///
    /// - Throws: `APIError` when it is not JSON by its media type, or too long; `invalidData`.
    func jsonBody(upTo limit: Int) async throws -> EventData {
        // A form of another site can send text, but not this media type.
        let mediaType = headers[.contentType]?.prefix { $0 != ";" }.lowercased()
        guard mediaType?.trimmingPrefix(while: { $0 == " " }).prefix(while: { $0 != " " }) == "application/json" else {
            throw APIError(.unsupportedMediaType, "mediaType", "send application/json")
        }
        let bytes: ByteBuffer
        do {
            bytes = try await body.collect(upTo: limit)
        } catch is NIOTooManyBytesError {
            throw APIError(.contentTooLarge, "payloadTooLarge", "send at most \(limit) bytes")
        }
        return try EventData(json: bytes.readableBytesView)
    }
}
