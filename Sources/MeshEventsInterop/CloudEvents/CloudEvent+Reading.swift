public import MeshEvents

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

extension CloudEvent {
    /// Reads an event in structured mode: a JSON object (CloudEvents 1.0, JSON event format). Its data must be JSON: an
    /// object, or null.
    ///
    /// - Throws: `invalidData`; the message says which attribute is wrong.
    public init(json text: String) throws(MeshEventsError) { try self.init(json: text.utf8) }

    /// Reads an event in structured mode from UTF-8.
    ///
    /// - Throws: as ``init(json:)-(String)``.
    public init(json bytes: some Collection<UInt8>) throws(MeshEventsError) {
        let object: EventData
        do throws(MeshEventsError) {
            object = try EventData(json: bytes)
        } catch {
            throw Self.invalid("it is not a JSON object: \(error.message)")
        }
        try self.init(object)
    }

    /// Reads a batch: a JSON array of events in structured mode.
    ///
    /// - Throws: as ``init(json:)-(String)``; the message names the event, from 1.
    public static func batch(json bytes: some Collection<UInt8>) throws(MeshEventsError) -> [CloudEvent] {
        let wrapped: EventData
        do throws(MeshEventsError) {
            wrapped = try EventData(json: Array(#"{"batch":"#.utf8) + Array(bytes) + Array("}".utf8))
        } catch {
            throw invalid("the batch is not a JSON array: \(error.message)")
        }
        guard wrapped.keys == ["batch"], let elements = wrapped["batch"]?.array else {
            throw invalid("a batch is a JSON array of CloudEvents")
        }
        var events: [CloudEvent] = []
        for (index, element) in elements.enumerated() {
            guard let object = element.data, !object.isNull else { throw invalid("event \(index + 1) is no object") }
            do throws(MeshEventsError) {
                events.append(try CloudEvent(object))
            } catch {
                throw invalid("event \(index + 1): \(error.message)")
            }
        }
        return events
    }

    private init(_ object: EventData) throws(MeshEventsError) {
        guard !object.isNull else { throw Self.invalid("it is null, no CloudEvent") }
        guard let version = try Self.attribute("specversion", of: object) else {
            throw Self.invalid("it has no \"specversion\", so it is no CloudEvent")
        }
        guard version == Self.specVersion else {
            throw Self.invalid(
                "its \"specversion\" is \(SubjectRules.quoted(version)); only \(Self.specVersion) can be read"
            )
        }
        self.init(
            id: try Self.required("id", of: object),
            source: try Self.required("source", of: object),
            type: try Self.required("type", of: object),
            subject: try Self.attribute("subject", of: object),
            time: try Self.time(of: object),
            dataContentType: try Self.attribute("datacontenttype", of: object),
            extensions: try Self.extensions(of: object)
        )
        data = try data(of: object)
    }

    private static let known: Set = [
        "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data", "data_base64",
    ]

    private static func attribute(_ name: String, of object: EventData) throws(MeshEventsError) -> String? {
        guard let field = object[name], !field.isNull else { return nil }
        guard let text = field.string else { throw invalid("its \"\(name)\" is not a string") }
        guard !text.isEmpty else { throw invalid("its \"\(name)\" is empty") }
        guard isText(text) else { throw invalid("its \"\(name)\" holds control characters") }
        return text
    }

    private static func required(_ name: String, of object: EventData) throws(MeshEventsError) -> String {
        guard let text = try attribute(name, of: object) else { throw invalid("it has no \"\(name)\"") }
        return text
    }

    private static func time(of object: EventData) throws(MeshEventsError) -> Timestamp? {
        guard let text = try attribute("time", of: object) else { return nil }
        do throws(MeshEventsError) {
            return try Timestamp(rfc3339: text)
        } catch {
            throw invalid("its \"time\" is not a time: \(error.message)")
        }
    }

    private static func extensions(of object: EventData) throws(MeshEventsError) -> JSONObject {
        var found: [(String, JSONValue)] = []
        for (name, field) in object.members where !known.contains(name) {
            guard !name.isEmpty, name.utf8.allSatisfy(isAttributeCharacter) else {
                throw invalid(
                    "it has a member \(SubjectRules.quoted(name)); attributes are lower-case letters and digits"
                )
            }
            switch field.value {
            case .null: break
            case .string(let text) where isText(text) || text.isEmpty: found.append((name, field.value))
            case .bool: found.append((name, field.value))
            case .number where field.int.map { Int32(exactly: $0) != nil } == true: found.append((name, field.value))
            default:
                throw invalid("its attribute \"\(name)\" is neither text, nor true or false, nor an integer of 32 bits")
            }
        }
        return JSONObject(found)
    }

    static func isAttributeCharacter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private func data(of object: EventData) throws(MeshEventsError) -> EventData {
        let encoded = object["data_base64"].flatMap { $0.isNull ? nil : $0 }
        guard isJSON else {
            guard object["data"].map({ !$0.isNull }) == true || encoded != nil else { return nil }
            throw Self.invalid(
                "its data is \(SubjectRules.quoted(dataContentType ?? "")); only JSON can be an event's data"
            )
        }
        guard let encoded else {
            guard let field = object["data"] else { return nil }
            guard let data = field.data else { throw Self.invalid("its \"data\" is neither an object nor null") }
            return data
        }
        guard object["data"] == nil else { throw Self.invalid("it has both \"data\" and \"data_base64\"") }
        guard let text = encoded.string, let bytes = Data(base64Encoded: text) else {
            throw Self.invalid("its \"data_base64\" is not Base64")
        }
        do throws(MeshEventsError) {
            return try EventData(json: bytes)
        } catch {
            throw Self.invalid("its \"data_base64\" holds neither a JSON object nor null")
        }
    }

    /// Whether the data is JSON, as far as the media type says: `application/json`, `text/json`, `…+json`, or no media
    /// type.
    private var isJSON: Bool {
        guard let dataContentType else { return true }
        let type = (dataContentType.split(separator: ";").first ?? "").trimmedSpaces.lowercased()
        return type == "application/json" || type == "text/json" || type.hasSuffix("+json")
    }

    static func invalid(_ message: String) -> MeshEventsError { MeshEventsError(.invalidData, message) }
}

extension Substring {
    fileprivate var trimmedSpaces: String {
        String(drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }
}
