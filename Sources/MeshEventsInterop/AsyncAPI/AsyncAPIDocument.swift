public import MeshEvents

/// An AsyncAPI 3.0 document of events: a channel for each subject, a message for each type, the JSON Schema of each.
///
/// ```swift
/// let document = AsyncAPIDocument(payloads: AsyncAPIDocument.meshPayloads + [TrainingComplete.self])
/// print(document.value)
/// ```
///
/// It is made from the payload types. It describes data as the payload writes it; readers accept more, as the wire
/// contract says.
public struct AsyncAPIDocument: Sendable {
    /// The version of AsyncAPI.
    public static let asyncAPIVersion = "3.0.0"

    /// The payloads of the mesh's own events.
    public static let meshPayloads: [any DescribedPayload.Type] = SystemPayloads.all

    /// The document.
    public let value: JSONValue

    /// Describes events.
    ///
    /// - Parameters:
    ///   - version: of the description, a semantic version.
    ///   - server: the host and port of the NATS server that the document names.
    ///   - payloads: the events of known types.
    ///   - describesUserEvents: whether events `user.…` of any topic are described too, with data of any structure.
    public init(
        version: String = "1.0.0",
        server: String = "127.0.0.1:4222",
        payloads: [any DescribedPayload.Type] = AsyncAPIDocument.meshPayloads,
        describesUserEvents: Bool = true
    ) {
        let messages = payloads.map { DescribedMessage($0) } + (describesUserEvents ? [.user] : [])
        value = [
            "asyncapi": .string(Self.asyncAPIVersion),
            "info": [
                "title": "Mesh events",
                "version": .string(version),
                "description": .string(Self.about),
            ],
            "defaultContentType": "application/json",
            "servers": [
                "nats": [
                    "host": .string(server), "protocol": "nats",
                    "description": "Any NATS server; JetStream stores the events in the stream MESH_EVENTS.",
                ]
            ],
            "channels": .object(JSONObject(messages.map { ($0.id, $0.channel) })),
            "operations": .object(JSONObject(messages.flatMap(\.operations))),
            "components": [
                "messages": .object(JSONObject(messages.map { ($0.id, $0.message) })),
                "schemas": .object(
                    JSONObject(messages.flatMap(\.schemas) + [(DescribedMessage.headersID, DescribedMessage.headers)])
                ),
            ],
        ]
    }

    private static let about = """
        The messages of the mesh: one JSON object each, with the members type, node, timestamp and data, on the subject \
        events. and the type. Readers ignore members that they do not know; a missing member of data reads as empty.
        """
}
