#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

extension EventData {
    /// Creates data from a value that encodes as an object, or as `null`: members in byte order, dates as RFC 3339.
    ///
    /// - Throws: `invalidData` when the value does not encode, or encodes as something else.
    public init(encoding value: some Encodable) throws(MeshEventsError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .custom { date, encoder in
            var container = encoder.singleValueContainer()
            let nanoseconds = (date.timeIntervalSince1970 * 1e6).rounded() * 1e3
            guard let count = Int64(exactly: nanoseconds) else {
                let context = EncodingError.Context(
                    codingPath: encoder.codingPath,
                    debugDescription: "date out of range"
                )
                throw EncodingError.invalidValue(date, context)
            }
            try container.encode(Timestamp(nanosecondsSinceEpoch: count).description)
        }
        let text: Data
        do {
            text = try encoder.encode(value)
        } catch {
            let type = String(describing: type(of: value))
            throw MeshEventsError(.invalidData, "a value of \(type) does not encode as JSON", underlying: error)
        }
        try self.init(json: text)
    }

    /// Decodes a value of your own type from the data; dates are RFC 3339.
    ///
    /// - Throws: `invalidData` when it does not fit the type.
    public func decode<Value: Decodable>(as type: Value.Type = Value.self) throws(MeshEventsError) -> Value {
        try validate()
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .custom { decoder in
            let timestamp = try Timestamp(from: decoder)
            return Date(timeIntervalSince1970: Double(timestamp.nanosecondsSinceEpoch) / 1e9)
        }
        do {
            return try decoder.decode(type, from: Data(json.utf8))
        } catch {
            throw MeshEventsError(.invalidData, "the data does not decode as \(type)", underlying: error)
        }
    }
}
