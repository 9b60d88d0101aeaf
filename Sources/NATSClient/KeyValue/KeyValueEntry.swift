import Foundation
import MessageGrammar
public import NIOCore

extension KeyValueBucket {
    /// What a revision did to its key.
    public enum Operation: Sendable, Hashable {
        /// It set a value.
        case put
        /// It deleted the value; older revisions stay, as far as the bucket keeps any.
        case delete
        /// It deleted the value and all older revisions; also what a server notes when a value has expired.
        case purge

        /// Reads the header fields of a revision.
        init(_ headers: NATSHeaders) {
            if let operation = headers[Self.header] {
                self = operation == "PURGE" ? .purge : .delete
            } else if let reason = headers["Nats-Marker-Reason"] {
                self = reason == "Remove" ? .delete : .purge
            } else {
                self = .put
            }
        }

        private static let header = "KV-Operation"

        /// The header fields that tell others of this operation.
        var headers: NATSHeaders {
            switch self {
            case .put: [:]
            case .delete: [Self.header: "DEL"]
            case .purge: [Self.header: "PURGE", "Nats-Rollup": "sub"]
            }
        }
    }

    /// One revision of a key.
    public struct Entry: Sendable, Hashable {
        /// The bucket.
        public let bucket: String
        /// The key.
        public let key: String
        /// The value; empty for a deletion, and in a watch without values.
        public let value: ByteBuffer
        /// The number of the revision in the bucket, from 1; later revisions of any key have greater numbers.
        public let revision: UInt64
        /// When the server stored it: nanoseconds since the Unix epoch.
        public let created: Int64
        /// How many entries of the same watch or history were still to come behind this one; 0 for a single get.
        public let delta: UInt64
        /// What it did to the key.
        public let operation: Operation
        /// The header fields of its message; other clients' key-value APIs do not show them.
        public let headers: NATSHeaders

        /// The value as text; bytes that are not UTF-8 are replaced.
        public var text: String { String(buffer: value) }

        /// Creates an entry, for tests.
        public init(
            bucket: String,
            key: String,
            value: ByteBuffer,
            revision: UInt64,
            created: Int64,
            delta: UInt64 = 0,
            operation: Operation = .put,
            headers: NATSHeaders = [:]
        ) {
            self.bucket = bucket
            self.key = key
            self.value = value
            self.revision = revision
            self.created = created
            self.delta = delta
            self.operation = operation
            self.headers = headers
        }
    }

    /// Reads a message of the bucket's stream; `nil` when its subject is no key's.
    func entry(
        _ subject: String,
        _ headers: NATSHeaders,
        _ value: ByteBuffer,
        revision: UInt64,
        created: Int64,
        delta: UInt64 = 0
    ) -> Entry? {
        guard subject.hasPrefix(root), subject.utf8.count > root.utf8.count else { return nil }
        return Entry(
            bucket: name,
            key: String(subject.dropFirst(root.count)),
            value: value,
            revision: revision,
            created: created,
            delta: delta,
            operation: Operation(headers),
            headers: headers
        )
    }

    /// Reads a message that a consumer delivered.
    func entry(_ message: JetStreamMessage) -> Entry? {
        entry(
            message.subject,
            message.headers,
            message.payload,
            revision: message.position.streamSequence,
            created: message.position.timestamp,
            delta: message.position.pending
        )
    }

    /// Reads a message that was got by its position.
    func entry(_ message: StreamMessage) -> Entry? {
        entry(
            message.subject,
            message.headerBlock.withUnsafeBytes { HeaderBlock(bytes: $0).fields() },
            ByteBuffer(bytes: message.payload),
            revision: message.sequence,
            created: ServerTime.nanoseconds(message.time) ?? 0
        )
    }
}

/// Times as servers write them.
enum ServerTime {
    /// Nanoseconds since the Unix epoch of a time in RFC 3339; `nil` for any other text.
    static func nanoseconds(_ text: String) -> Int64? {
        let parts = text.split(separator: ".", maxSplits: 1)
        var (whole, fraction) = (text, "")
        if parts.count == 2 {
            fraction = String(parts[1].prefix { $0.isASCII && $0.isNumber })
            whole = String(parts[0] + parts[1].dropFirst(fraction.count))
        }
        guard
            let date = try? Date(whole, strategy: .iso8601),
            let seconds = Int64(exactly: date.timeIntervalSince1970),
            let rest = Int64((fraction + "000000000").prefix(9))
        else { return nil }
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, sumOverflow) = scaled.addingReportingOverflow(rest)
        return overflow || sumOverflow ? nil : sum
    }
}
