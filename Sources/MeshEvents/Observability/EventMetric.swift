/// The metrics that buses report to swift-metrics; their raw values are the metrics' labels.
public enum EventMetric: String, CaseIterable, Sendable {
    /// Events handed to the transport, without an acknowledgement.
    case emitted = "mesh_events_emitted_total"
    /// Events that the store has acknowledged.
    case acknowledged = "mesh_events_acknowledged_total"
    /// Emits that threw.
    case emitErrors = "mesh_events_emit_errors_total"
    /// How long the store took to acknowledge.
    case acknowledgementDuration = "mesh_events_acknowledgement_duration_seconds"
    /// Events that arrived.
    case received = "mesh_events_received_total"
    /// Events that arrived and were lost because the subscriber was too slow.
    case dropped = "mesh_events_dropped_total"
    /// Messages that were skipped because they are no events.
    case malformed = "mesh_events_malformed_total"
    /// Events that were not delivered because their signature is not valid.
    case rejected = "mesh_events_rejected_total"
    /// Handlers that threw.
    case handlerErrors = "mesh_events_handler_errors_total"
    /// Events that wait to be read.
    case bufferedEvents = "mesh_events_buffered_events"
    /// Bytes that wait to be read.
    case bufferedBytes = "mesh_events_buffered_bytes"
    /// Subscriptions that are active.
    case subscriptions = "mesh_events_subscriptions"
    /// Deliveries that a durable subscription has acknowledged.
    case durableAcknowledged = "mesh_events_durable_acknowledged_total"
    /// Deliveries that failed: the event is delivered again or given up.
    case durableFailed = "mesh_events_durable_failed_total"
    /// Deliveries that were not the first of their event.
    case durableRedelivered = "mesh_events_durable_redelivered_total"
    /// Events that a durable subscription has given up.
    case durableDeadLettered = "mesh_events_durable_dead_lettered_total"
    /// Messages delivered to a durable subscription that are no events.
    case durableMalformed = "mesh_events_durable_malformed_total"
    /// Events that a durable subscription has given up because their signature is not valid.
    case durableRejected = "mesh_events_durable_rejected_total"
    /// Events that a durable subscription has acknowledged because they do not pass its filter.
    case durableSkipped = "mesh_events_durable_skipped_total"
    /// Events that a durable subscription holds: waiting, handed out, or being answered.
    case durableOutstanding = "mesh_events_durable_outstanding"
    /// Connections that were lost and restored.
    case reconnects = "mesh_events_reconnects_total"
    /// Messages that were in flight when a connection was lost.
    case unconfirmed = "mesh_events_unconfirmed_total"
    /// Bytes that wait to be sent.
    case outboundBytes = "mesh_events_outbound_bytes"

    /// What kind of metric it is.
    public enum Kind: String, Sendable {
        /// Only grows.
        case counter
        /// Goes up and down.
        case gauge
        /// Durations; swift-metrics takes nanoseconds, and backends name their unit.
        case timer
    }

    /// What kind of metric it is.
    public var kind: Kind {
        switch self {
        case .acknowledgementDuration: .timer
        case .bufferedEvents, .bufferedBytes, .subscriptions, .durableOutstanding, .outboundBytes: .gauge
        default: .counter
        }
    }

    /// The metric's second dimension, beside `node`; `nil` for none.
    public var label: String? {
        switch self {
        case .emitted, .reconnects, .unconfirmed, .outboundBytes: nil
        case .acknowledged, .acknowledgementDuration: "stream"
        case .emitErrors: "code"
        case .received, .dropped, .malformed, .rejected, .handlerErrors, .bufferedEvents, .bufferedBytes,
            .subscriptions:
            "pattern"
        case .durableAcknowledged, .durableFailed, .durableRedelivered, .durableDeadLettered, .durableMalformed,
            .durableRejected, .durableSkipped, .durableOutstanding:
            "durable"
        }
    }

    /// A sentence about it, for those who read metrics.
    package var help: String {
        switch self {
        case .emitted: "Events handed to the transport, without an acknowledgement."
        case .acknowledged: "Events that the store has acknowledged."
        case .emitErrors: "Emits that threw."
        case .acknowledgementDuration: "How long the store took to acknowledge."
        case .received: "Events that arrived."
        case .dropped: "Events that arrived and were lost because the subscriber was too slow."
        case .malformed: "Messages that were skipped because they are no events."
        case .rejected: "Events that were not delivered because their signature is not valid."
        case .handlerErrors: "Handlers that threw."
        case .bufferedEvents: "Events that wait to be read."
        case .bufferedBytes: "Bytes that wait to be read."
        case .subscriptions: "Subscriptions that are active."
        case .durableAcknowledged: "Deliveries that a durable subscription has acknowledged."
        case .durableFailed: "Deliveries that failed: the event is delivered again or given up."
        case .durableRedelivered: "Deliveries that were not the first of their event."
        case .durableDeadLettered: "Events that a durable subscription has given up."
        case .durableMalformed: "Messages delivered to a durable subscription that are no events."
        case .durableRejected: "Events that a durable subscription has given up because their signature is not valid."
        case .durableSkipped: "Events that a durable subscription has acknowledged because they do not pass its filter."
        case .durableOutstanding: "Events that a durable subscription holds: waiting, handed out, or being answered."
        case .reconnects: "Connections that were lost and restored."
        case .unconfirmed: "Messages that were in flight when a connection was lost."
        case .outboundBytes: "Bytes that wait to be sent."
        }
    }
}
