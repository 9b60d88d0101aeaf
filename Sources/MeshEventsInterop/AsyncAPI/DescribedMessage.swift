import MeshEvents

/// The parts of an AsyncAPI document that describe one type of event.
struct DescribedMessage {
    /// The name of the channel and of the message in the document, made from the type.
    let id: String
    private let address: String
    private let summary: String
    private let typeSchema: JSONValue
    private let typeExample: String
    private let data: JSONValue
    private let dataExample: JSONValue
    private let parameters: JSONObject

    init(_ payload: any DescribedPayload.Type) {
        let type = payload.eventType
        id = Self.identifier(type.rawValue)
        address = type.subject
        summary = payload.summary
        typeSchema = ["type": "string", "const": .string(type.rawValue)]
        typeExample = type.rawValue
        let fields = payload.fields
        data = .object(JSONObject([("description", .string("The data of \(type)."))] + PayloadField.object(fields)))
        dataExample = .object(JSONObject(fields.map { ($0.name, $0.example) }))
        parameters = [:]
    }

    /// The events of users, of any topic.
    static let user = DescribedMessage(
        id: "user",
        address: "events.user.{topic}",
        summary: "An event of a user's program, with its own type.",
        typeSchema: ["type": "string", "pattern": "^user\\."],
        typeExample: "user.training.complete",
        data: ["type": ["object", "null"], "description": "The data of a user's event: any object, or null."],
        dataExample: ["epochs": 100, "loss": 0.023],
        parameters: [
            "topic": [
                "description": "One token or more, joined by dots; the type is user. and the topic.",
                "examples": ["training.complete"],
            ]
        ]
    )

    private init(
        id: String,
        address: String,
        summary: String,
        typeSchema: JSONValue,
        typeExample: String,
        data: JSONValue,
        dataExample: JSONValue,
        parameters: JSONObject
    ) {
        self.id = id
        self.address = address
        self.summary = summary
        self.typeSchema = typeSchema
        self.typeExample = typeExample
        self.data = data
        self.dataExample = dataExample
        self.parameters = parameters
    }

    /// The channel: the subject, and the message that it carries.
    var channel: JSONValue {
        var members: [(String, JSONValue)] = [
            ("address", .string(address)),
            ("description", .string(summary)),
            ("messages", .object(JSONObject([(id, Self.reference("#/components/messages/\(id)"))]))),
        ]
        if !parameters.isEmpty { members.append(("parameters", .object(parameters))) }
        return .object(JSONObject(members))
    }

    /// The operations that emit and receive the message.
    var operations: [(String, JSONValue)] {
        [("emit", "send"), ("receive", "receive")].map { name, action in
            let operation: JSONValue = [
                "action": .string(action),
                "channel": Self.reference("#/channels/\(id)"),
                "messages": [Self.reference("#/channels/\(id)/messages/\(id)")],
            ]
            return ("\(name)-\(id)", operation)
        }
    }

    /// The message.
    var message: JSONValue {
        [
            "name": .string(typeExample),
            "title": .string(summary),
            "contentType": "application/json",
            "headers": Self.reference("#/components/schemas/\(Self.headersID)"),
            "payload": Self.reference("#/components/schemas/\(id)-event"),
            "examples": [["payload": example]],
        ]
    }

    /// The schemas of the event and of its data.
    var schemas: [(String, JSONValue)] {
        let event: JSONValue = [
            "type": "object",
            "description": .string(summary),
            "properties": [
                "type": typeSchema,
                "node": ["type": "string", "description": "The node it happened on."],
                "timestamp": [
                    "type": "string", "format": "date-time",
                    "description": "When it happened, RFC 3339, up to nanoseconds.",
                ],
                "data": Self.reference("#/components/schemas/\(id)-data"),
            ],
            "required": ["type", "node", "timestamp", "data"],
        ]
        return [("\(id)-event", event), ("\(id)-data", data)]
    }

    private var example: JSONValue {
        [
            "type": .string(typeExample), "node": "node-a", "timestamp": "2026-11-24T09:04:34.01671002Z",
            "data": dataExample,
        ]
    }

    // MARK: Header fields

    static let headersID = "headers"

    /// The header fields that the mesh knows; all may be missing.
    static let headers: JSONValue = {
        var fields: [(String, String)] = [
            ("Nats-Msg-Id", "In a stream: the message id, so that a retry stores the event once."),
            (SignatureVerification.header, "The node's signature of subject and payload."),
            ("traceparent", "The span that emitted it (W3C Trace Context)."),
        ]
        let attributes = [
            "specversion", "id", "source", "type", "subject", "time", "datacontenttype",
        ]
        fields += attributes.map { ("ce-" + $0, "The attribute \($0) of CloudEvents 1.0, percent-encoded.") }
        let properties = fields.map { name, about -> (String, JSONValue) in
            (name, ["type": "string", "description": .string(about)])
        }
        return [
            "type": "object",
            "description": "Header fields; each may be missing.",
            "properties": .object(JSONObject(properties)),
        ]
    }()

    private static func reference(_ path: String) -> JSONValue { ["$ref": .string(path)] }

    /// The type as a name that AsyncAPI's tools accept. Dots become `-`; every other byte that is no letter or digit
    /// becomes `_` and two hexadecimal digits. So no two types get the same name.
    private static func identifier(_ type: String) -> String {
        let digits = Array("0123456789abcdef")
        return type.utf8.reduce(into: "") { name, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                name.append(Character(UnicodeScalar(byte)))
            case UInt8(ascii: "."): name += "-"
            default: name += "_\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
    }
}

extension PayloadField {
    /// The parts of the JSON Schema of an object with these members.
    fileprivate static func object(_ fields: [PayloadField]) -> [(String, JSONValue)] {
        [
            ("type", "object"),
            ("properties", .object(JSONObject(fields.map { ($0.name, $0.schema) }))),
            ("required", .array(fields.filter { !$0.isOptional }.map { .string($0.name) })),
        ]
    }

    /// The JSON Schema of the value.
    private var schema: JSONValue {
        let type: JSONValue =
            switch kind {
            case .string, .timestamp: "string"
            case .integer: "integer"
            case .number: "number"
            case .boolean: "boolean"
            case .object: ["object", "null"]
            case .array, .strings: "array"
            }
        var members: [(String, JSONValue)] = [("type", type), ("description", .string(summary))]
        if kind == .timestamp { members.append(("format", "date-time")) }
        if kind == .strings { members.append(("items", ["type": "string"])) }
        if !elements.isEmpty { members.append(("items", .object(JSONObject(Self.object(elements))))) }
        return .object(JSONObject(members))
    }
}
