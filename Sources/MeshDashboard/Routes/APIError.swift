import HTTPTypes
import Hummingbird
import MeshEvents

/// An error answer: `{"error": {"code": …, "message": …}}`.
struct APIError: HTTPResponseError {
    let status: HTTPResponse.Status
    let code: String
    let message: String

    init(_ status: HTTPResponse.Status, _ code: String, _ message: String) {
        self.status = status
        self.code = code
        // Cut, because it may quote the request.
        self.message = EventText.cut(message)
    }

    /// Converts any error to an answer for HTTP clients.
    init(_ error: any Error) {
        switch error {
        case let error as APIError: self = error
        case let error as MeshEventsError:
            self.init(Self.status(of: error), error.code.description, error.message)
        case let error as any HTTPResponseError where error.status == .notFound: self = .notFound
        case let error as any HTTPResponseError:
            self.init(error.status, "http", error.status.reasonPhrase)
        default: self.init(.internalServerError, "internal", "an unexpected error occurred")
        }
    }

    static var notFound: APIError { APIError(.notFound, "notFound", "there is no such resource") }

    private static func status(of error: MeshEventsError) -> HTTPResponse.Status {
        switch error.code {
        case .invalidEventType, .invalidPattern, .invalidData, .invalidTimestamp, .malformedEvent, .invalidArgument:
            .badRequest
        case .payloadTooLarge: .contentTooLarge
        case .permissionDenied, .authenticationFailed: .badGateway
        case .timeout: .gatewayTimeout
        case .streamReplaced: .gone
        default: .serviceUnavailable
        }
    }

    func response(from request: Request, context: some RequestContext) throws -> Response {
        let json: EventData = ["error": ["code": .string(code), "message": .string(message)]]
        var response = Response.json(json.json.utf8, status: status)
        if status == .tooManyRequests { response.headers[.retryAfter] = "60" }
        return response
    }
}
