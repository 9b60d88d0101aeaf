import NIOCore

extension JetStream {
    /// Counts a stream's messages by subject; fetches all pages of the answer.
    ///
    /// - Parameters:
    ///   - stream: the stream's name.
    ///   - filter: the subjects that count, as a pattern.
    ///   - timeout: how long the server may take for each page; `nil` for ``timeout``.
    public func subjectCounts(
        of stream: String,
        matching filter: String = ">",
        timeout: Duration? = nil
    ) async throws(JetStreamError) -> [String: UInt64] {
        struct Request: Encodable {
            let subjects_filter: String
            let offset: Int
        }
        struct Answer: Decodable {
            struct State: Decodable { let subjects: [String: UInt64]? }
            let state: State
            let total: Int?
        }
        try Self.validate(name: stream, of: "stream")
        var counts: [String: UInt64] = [:]
        while true {
            let answer: Answer = try await call(
                "STREAM.INFO.\(stream)",
                body: Request(subjects_filter: filter, offset: counts.count),
                timeout: timeout
            )
            let page = answer.state.subjects ?? [:]
            counts.merge(page) { $1 }
            guard !page.isEmpty, counts.count < answer.total ?? 0 else { return counts }
        }
    }

    /// Lists every consumer of a stream; fetches all pages of the answer.
    public func consumers(
        on stream: String,
        timeout: Duration? = nil
    ) async throws(JetStreamError) -> [ConsumerInformation] {
        struct Request: Encodable { let offset: Int }
        struct Answer: Decodable {
            let consumers: [ConsumerInformation]?
            let total: Int?
        }
        try Self.validate(name: stream, of: "stream")
        var consumers: [ConsumerInformation] = []
        while true {
            let answer: Answer = try await call(
                "CONSUMER.LIST.\(stream)",
                body: Request(offset: consumers.count),
                timeout: timeout
            )
            let page = answer.consumers ?? []
            consumers += page
            guard !page.isEmpty, consumers.count < answer.total ?? 0 else { return consumers }
        }
    }
}
