public import MeshEvents
public import NATSClient

extension MeshEventsError {
    /// Converts the client's error into one of the event bus.
    public init(_ error: NATSError) {
        let hint = PermissionHint(forbidden: error.subject)?.text ?? ""
        self.init(Self.code(of: error), error.message + hint, underlying: error, isRetriable: error.isRetriable)
    }

    private static func code(of error: NATSError) -> Code {
        switch error.code {
        case .invalidAddress, .invalidSubject, .invalidHeader, .invalidArgument: .invalidArgument
        case .connectionFailed, .messagesUnconfirmed, .tlsFailed: .connectionFailed
        case .authenticationFailed: .authenticationFailed
        case .permissionDenied: .permissionDenied
        case .payloadTooLarge: .payloadTooLarge
        case .bufferFull: .bufferFull
        case .slowConsumer: .subscriberTooSlow
        case .timeout: .timeout
        case .noResponders: .noResponders
        case .protocolViolation: .protocolViolation
        case .cancelled, .closed: .closed
        default: .serverRefused
        }
    }

    /// Converts JetStream's error into one of the event store.
    ///
    /// - Parameter stream: the stream the request was about.
    public init(_ error: JetStreamError, stream: String) {
        if let cause = error.underlying, !error.isNoResponders {
            self.init(cause)
            return
        }
        let (code, message) = Self.explain(error, stream)
        self.init(code, message, underlying: error, isRetriable: error.isRetriable)
    }

    private static func explain(_ error: JetStreamError, _ stream: String) -> (Code, String) {
        switch error.kind {
        case .connection:
            (.persistenceUnavailable, "no JetStream answers behind this connection; \(howToEnable)")
        case .timeout:
            (.timeout, "the store did not answer in time: \(error.message)")
        case .consumerLost:
            (.connectionFailed, "reading stream \(stream) was interrupted (\(error.message)); try again")
        case .invalidAnswer:
            (.protocolViolation, error.message)
        case .invalidArgument:
            (.invalidArgument, error.message)
        case .refused:
            (.serverRefused, "\(error.message); raise that limit of the server or of the consumer")
        case .api:
            explainAnswer(error, stream)
        }
    }

    private static let howToEnable =
        "start nats-server with JetStream (-js, or `jetstream {}` in its configuration) for this account; behind a leaf "
        + "node, name the hub's domain instead (--js-domain or MESH_EVENTS_JS_DOMAIN, JetStreamStore's domain): a "
        + "second JetStream would store the events too"

    /// The advice when two streams take the same events.
    static let domainAdvice =
        "Give each nats-server with JetStream its own domain (`jetstream { domain: … }`), keep the stream on one of "
        + "them, and name its domain (--js-domain, MESH_EVENTS_JS_DOMAIN, JetStreamStore's domain)"

    private static func explainAnswer(_ error: JetStreamError, _ stream: String) -> (Code, String) {
        let said = error.message
        switch error.errorCode {
        case .streamNotFound:
            return (
                .streamNotFound,
                "the stream \(stream) does not exist; `mesh-events serve` and `mesh-events stream create` create it, as do "
                    + "programs that open a PersistentEventBus"
            )
        case .streamNameInUse:
            return (
                .streamMismatch,
                "the stream \(stream) exists with another configuration; open it as it is, or update it"
            )
        case .subjectsOverlap:
            return (
                .streamMismatch,
                "another stream holds subjects of \(stream) already; use that stream's name (--stream, MESH_EVENTS_STREAM), "
                    + "or delete it"
            )
        case .streamNotExpected:
            return (
                .streamMismatch,
                "another stream than \(stream) holds this subject; use that stream's name (--stream, MESH_EVENTS_STREAM)"
            )
        case .wrongLastSequence, .wrongLastSequenceConstant:
            return (
                .conflict,
                "another client has stored a message to the same subject of \(stream) meanwhile (\(said)); read it, then "
                    + "decide again"
            )
        case .filterOutsideStream:
            return (
                .streamMismatch,
                "the pattern lies outside the subjects of stream \(stream); give the stream the subjects events.>"
            )
        case .streamSealed:
            return (
                .streamMismatch,
                "stream \(stream) is sealed (\(said)): nothing is ever written to it again, and no client can undo that; "
                    + "use another one, or delete it (`nats stream rm \(stream)`), and it is made anew"
            )
        case .notEnabled, .notEnabledForAccount:
            return (.persistenceUnavailable, "JetStream is off (\(said)); \(howToEnable)")
        case .clusterNotAvailable, .clusterNotLeader, .clusterIncomplete, .streamOffline, .clusterNoPeers:
            return (.persistenceUnavailable, "JetStream is not available at the moment (\(said)); try again")
        case .messageTooLarge:
            return (.payloadTooLarge, "the event is larger than stream \(stream) accepts; raise its max_msg_size")
        case .maximumStreamsReached:
            return (.storageFull, "the account's limit is reached (\(said)); raise it, or delete what is not used")
        case .maximumConsumersReached:
            return (
                .storageFull,
                "no more consumers are allowed (\(said)): raise max_consumers of stream \(stream) or the account's limit, or "
                    + "delete consumers that are not used"
            )
        case .acknowledgementRequired:
            return (
                .streamMismatch,
                "stream \(stream) is a work queue, in which each message is for one consumer (\(said)); to follow events give "
                    + "it the retention policy \"limits\""
            )
        case .storageExceeded, .memoryExceeded:
            return (
                .storageFull,
                "the limits of the account or of the server forbid a stream of this size (\(said)); ask for fewer bytes, or "
                    + "raise those limits (max_file, max_mem)"
            )
        case .accountResourcesExceeded:
            return (.storageFull, "the account has no room (\(said)); free space in its streams, or raise its limits")
        case let code where code.meansFull:
            return (.storageFull, "the store has no room (\(said)); free space, or raise the limits of \(stream)")
        default:
            return (.serverRefused, "the server refused the request (\(error.errorCode)): \(said)")
        }
    }
}

/// Says which roles of `mesh-events auth` may do what the server has forbidden.
private struct PermissionHint {
    /// A text to append to an error's message.
    let text: String

    /// - Parameter subject: the subject to which the server forbade to publish or subscribe; `nil` for other errors.
    /// - Returns: `nil` when the subject is not one of the mesh's.
    init?(forbidden subject: String?) {
        guard var subject else { return nil }
        // In a domain the subject is `$JS.hub.API.…`.
        let tokens = subject.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
        if tokens.count == 4, tokens[0] == "$JS", tokens[2] == "API" { subject = "$JS.API.\(tokens[3])" }
        let allowed: String
        if subject.hasPrefix("events.user.") {
            allowed = "tools, nodes and admins may emit there, observers only read"
        } else if subject.hasPrefix("events.") {
            allowed = "nodes and admins may emit there, tools only under events.user., observers may not emit"
        } else if subject.hasPrefix("$JS.API.STREAM.") {
            allowed =
                "only admins create, change, purge or delete streams: `mesh-events stream create` once, with an admin's key"
        } else if subject.hasPrefix("$JS.API.CONSUMER.MSG.NEXT.") || subject.hasPrefix("$JS.ACK.") {
            allowed =
                "tools and nodes may take the events of the durables listed for them, observers may take none: "
                + "`mesh-events auth allow --durable` adds one"
        } else if subject.hasPrefix("$JS.API.CONSUMER.") {
            allowed =
                "only admins create, change and delete durables: `mesh-events stream durable` once, with an admin's key"
        } else if subject.hasPrefix("$KV.") {
            allowed = "only nodes and admins may keep the state of the mesh"
        } else if subject.hasPrefix("$JS.") {
            allowed = "every user may read the mesh's own stream"
        } else if subject.hasPrefix("mesh.control.") {
            allowed =
                "only operators and admins may control tools and read logs, and a node answers under its own name only"
        } else if subject.hasPrefix("\(ControlSubject.logs).") {
            allowed = "only operators and admins may read logs, and a node gives them under its own name only"
        } else if subject.hasPrefix("_INBOX.") {
            allowed = "every user has its own inbox, `_INBOX.` and the first 16 characters of its public key"
        } else {
            return nil
        }
        text = " (of the roles of `mesh-events auth`, \(allowed))"
    }
}
