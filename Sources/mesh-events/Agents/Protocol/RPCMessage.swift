import MeshEvents

/// A message of JSON-RPC 2.0 from a client, or what is wrong with it.
enum RPCMessage: Sendable {
    /// A request, which gets an answer.
    case request(RPCID, method: String, EventData)
    /// A notification, which gets none.
    case notification(method: String, EventData)
    /// An answer of the client; this server asks nothing.
    case answer
    /// A message that cannot be taken; `nil` when it does not say what it answers to.
    case invalid(RPCID?, RPCError)

    /// Reads a message from an object of JSON.
    init(_ data: EventData) {
        let id = data["id"].map { RPCID($0) }
        guard data["jsonrpc"]?.string == "2.0" else {
            self = .invalid(id ?? nil, RPCError(.invalidRequest, "The member `jsonrpc` has to be \"2.0\"."))
            return
        }
        guard let field = data["method"] else {
            let isAnswer = data["result"] != nil || data["error"] != nil
            let error = RPCError(.invalidRequest, "The member `method` is missing.")
            self = isAnswer ? .answer : .invalid(id ?? nil, error)
            return
        }
        // An id that is no id makes no notification of it.
        if let id, id == nil {
            self = .invalid(
                nil,
                RPCError(.invalidRequest, "The member `id` has to be an integer, or a text of at most 256 bytes.")
            )
            return
        }
        guard let method = field.string, method.utf8.count <= Self.longestMethod else {
            self = .invalid(id ?? nil, RPCError(.invalidRequest, "The member `method` has to be a text."))
            return
        }
        var params = EventData.empty
        if let field = data["params"], !field.isNull {
            guard let object = field.data else {
                self = .invalid(id ?? nil, RPCError(.invalidParams, "The member `params` has to be an object."))
                return
            }
            params = object
        }
        if let id = id ?? nil {
            self = .request(id, method: method, params)
        } else {
            self = .notification(method: method, params)
        }
    }

    private static let longestMethod = 256

    /// Reads the messages of a line.
    ///
    /// - Returns: The messages, and whether they came as a list.
    /// - Throws: `RPCError` when the line is no JSON, or neither an object nor a list.
    static func read(_ line: some Collection<UInt8>) throws(RPCError) -> (messages: [RPCMessage], isBatch: Bool) {
        let first = line.first { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }
        guard first == UInt8(ascii: "[") else {
            guard let data = try? EventData(json: line), !data.isNull else { throw unreadable(line) }
            return ([RPCMessage(data)], false)
        }
        // As the only member of an object.
        let wrapped = Array(#"{"list":"#.utf8) + line + [UInt8(ascii: "}")]
        guard let data = try? EventData(json: wrapped), data.members.count == 1,
            let (elements, count) = data["list"]?.elements(first: largestBatch)
        else { throw unreadable(line) }
        guard count > 0, count <= largestBatch else {
            throw RPCError(.invalidRequest, "A list has 1 to \(largestBatch) messages.")
        }
        let messages = elements.map { element -> RPCMessage in
            guard element.isObject, let data = element.data else {
                return .invalid(nil, RPCError(.invalidRequest, "A message has to be an object."))
            }
            return RPCMessage(data)
        }
        return (messages, true)
    }

    /// The most messages that can come as a list.
    static let largestBatch = 16

    /// What is wrong with a line that is no object.
    private static func unreadable(_ line: some Collection<UInt8>) -> RPCError {
        let wrapped = Array(#"{"value":"#.utf8) + line + [UInt8(ascii: "}")]
        guard let data = try? EventData(json: wrapped), data.members.count == 1 else {
            return RPCError(.parseError, "The line is not valid JSON.")
        }
        return RPCError(.invalidRequest, "A message has to be an object.")
    }
}

/// What identifies a request.
enum RPCID: Sendable, Hashable {
    case number(Int64)
    case text(String)

    /// Reads it; `nil` for what identifies no request.
    init?(_ field: EventData.Field) {
        if let number = field.int64 {
            self = .number(number)
        } else if let text = field.string, text.utf8.count <= 256 {
            self = .text(text)
        } else {
            return nil
        }
    }

    var json: JSONValue {
        switch self {
        case .number(let number): JSONValue(number)
        case .text(let text): .string(text)
        }
    }
}

/// An error of JSON-RPC 2.0.
struct RPCError: Error, Sendable, Hashable {
    enum Code: Int, Sendable {
        case parseError = -32_700
        case invalidRequest = -32_600
        case methodNotFound = -32_601
        case invalidParams = -32_602
    }

    let code: Code
    let words: OwnWords

    init(_ code: Code, _ words: OwnWords) {
        self.code = code
        self.words = words
    }
}

/// Writes messages to a client, each as one line of JSON.
enum RPCText {
    static func result(_ id: RPCID, _ json: String) -> String {
        #"{"jsonrpc":"2.0","id":\#(id.json),"result":\#(json)}"#
    }

    static func error(_ id: RPCID?, _ error: RPCError) -> String {
        let object: EventData = [
            "code": JSONValue(error.code.rawValue), "message": .string(error.words.text),
        ]
        return #"{"jsonrpc":"2.0","id":\#(id?.json ?? .null),"error":\#(object.json)}"#
    }

    static func notification(_ method: OwnWords, _ params: JSONValue) -> String {
        #"{"jsonrpc":"2.0","method":\#(JSONValue.string(method.text)),"params":\#(params)}"#
    }

    static func batch(_ messages: [String]) -> String { "[" + messages.joined(separator: ",") + "]" }
}
