import Hummingbird
import HummingbirdCore
import MeshEvents

/// Reads and checks the parameters of a request.
struct QueryParameters {
    private static let maximumText = 1_024
    private static let maximumConditions = 16

    private let parameters: FlatDictionary<Substring, Substring>

    init(_ request: Request) { parameters = request.uri.queryParameters }

    /// The filter from `pattern`, `type`, `node`, `where` (each may be repeated) and `text`.
    ///
    /// - Throws: `invalidPattern`, `invalidEventType`, `invalidArgument` when there are too many; `APIError` with the code
    ///   `invalidCondition`.
    func filter() throws -> PageFilter {
        var filter = PageFilter()
        for text in try list("pattern") { filter.patterns.append(try EventPattern(text)) }
        for text in try list("type") { filter.types.append(try EventType(text)) }
        filter.nodes = try list("node")
        filter.text = parameters["text"].map(String.init) ?? ""
        guard filter.text.utf8.count <= Self.maximumText else {
            throw MeshEventsError(.invalidArgument, "text has at most \(Self.maximumText) bytes")
        }
        filter.conditions = try conditions()
        return filter
    }

    /// The conditions of `where`. How long an event takes to compare grows with their length, which is limited for that.
    private func conditions() throws(APIError) -> EventFilter {
        let texts = parameters[values: "where"].map(String.init).filter { !$0.isEmpty }
        guard texts.count <= Self.maximumConditions, texts.reduce(0, { $0 + $1.utf8.count }) <= Self.maximumText else {
            throw APIError(
                .badRequest,
                "invalidCondition",
                "give at most \(Self.maximumConditions) conditions, of \(Self.maximumText) bytes together"
            )
        }
        do throws(MeshEventsError) {
            return try EventFilter(texts)
        } catch {
            throw APIError(.badRequest, "invalidCondition", error.message)
        }
    }

    /// The bounds from `since`, `until`, `before` and `after`.
    ///
    /// - Throws: `invalidTimestamp`, `invalidArgument`.
    func bounds() throws(MeshEventsError) -> EventSearch.Bounds {
        var bounds = EventSearch.Bounds()
        bounds.since = try time("since")
        bounds.until = try time("until")
        bounds.before = try position("before")
        bounds.after = try position("after")
        return bounds
    }

    /// The format from `format`.
    ///
    /// - Throws: `invalidArgument` when it is missing, or none.
    func exportFormat() throws(MeshEventsError) -> EventExport.Format {
        guard let format = parameters["format"].flatMap({ EventExport.Format(rawValue: String($0)) }) else {
            throw MeshEventsError(
                .invalidArgument,
                "format has to be \(EventExport.Format.allCases.map(\.rawValue).joined(separator: " or "))"
            )
        }
        return format
    }

    /// A number; `nil` when the parameter is missing.
    ///
    /// - Throws: `invalidArgument`.
    func number<Number: FixedWidthInteger>(
        _ name: String,
        in range: ClosedRange<Number>
    ) throws(MeshEventsError) -> Number? {
        guard let text = parameters[name[...]] else { return nil }
        guard let number = Number(text), range.contains(number) else {
            throw MeshEventsError(
                .invalidArgument,
                "\(name) is a whole number from \(range.lowerBound) to \(range.upperBound)"
            )
        }
        return number
    }

    /// A position in the stream, a sequence or the `id` of an event; `nil` when the parameter is missing.
    ///
    /// - Throws: `invalidArgument`.
    func position(_ name: String) throws(MeshEventsError) -> StreamPosition? {
        guard let text = parameters[name[...]] else { return nil }
        guard let position = StreamPosition(text) else {
            throw MeshEventsError(
                .invalidArgument,
                "\(name) is a sequence, or an event's id or a cursor from an answer"
            )
        }
        return position
    }

    /// A time in RFC 3339; `nil` when the parameter is missing.
    ///
    /// - Throws: `invalidTimestamp`.
    func time(_ name: String) throws(MeshEventsError) -> Timestamp? {
        guard let text = parameters[name[...]] else { return nil }
        return try Timestamp(rfc3339: String(text))
    }

    /// The part of a log from `node`, `tool`, `text`, `stderr`, `lines` and `after`.
    ///
    /// - Throws: `invalidArgument`.
    func log() throws(MeshEventsError) -> LogPageQuery {
        var names: [String] = []
        for name in ["node", "tool"] {
            guard let text = parameters[name[...]].map(String.init), !text.isEmpty, text.utf8.count <= Self.maximumText
            else { throw MeshEventsError(.invalidArgument, "\(name) is missing, or too long") }
            names.append(text)
        }
        var query = LogPageQuery(node: names[0], tool: names[1])
        query.text = parameters["text"].map(String.init).flatMap { $0.isEmpty ? nil : $0 }
        guard query.text?.utf8.count ?? 0 <= Self.maximumText else {
            throw MeshEventsError(.invalidArgument, "text has at most \(Self.maximumText) bytes")
        }
        query.standardErrorOnly = parameters["stderr"] == "true"
        query.lines = try number("lines", in: 1...2_000) ?? query.lines
        if let after = parameters["after"] {
            let parts = after.split(separator: ".")
            guard parts.count == 2, parts[0].utf8.count <= 64, let next = UInt64(parts[1]),
                // As large as a number in a log can be.
                next <= 1 << 62
            else {
                throw MeshEventsError(.invalidArgument, "after is the member next of an answer")
            }
            query.after = (String(parts[0]), next)
        }
        return query
    }

    private func list(_ name: String) throws(MeshEventsError) -> [String] {
        let values = parameters[values: name[...]].map(String.init).filter { !$0.isEmpty }
        guard values.count <= 50 else { throw MeshEventsError(.invalidArgument, "give at most 50 of \(name)") }
        return values
    }
}
