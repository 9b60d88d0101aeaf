/// The attributes of the package's spans: OpenTelemetry's semantic conventions for messaging, and two of its own.
enum SpanAttributeName: String, CaseIterable {
    case system = "messaging.system"
    case operationName = "messaging.operation.name"
    case operationType = "messaging.operation.type"
    case destination = "messaging.destination.name"
    case destinationTemplate = "messaging.destination.template"
    case consumerGroup = "messaging.consumer.group.name"
    case messageID = "messaging.message.id"
    case errorType = "error.type"
    case node = "mesh.node"
    case deliveries = "mesh.deliveries"
}
