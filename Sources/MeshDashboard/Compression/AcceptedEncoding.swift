import HTTPTypes
import Hummingbird

/// Whether a client takes gzip, by its `Accept-Encoding` (RFC 9110, section 12.5.3).
enum AcceptedEncoding {
    /// How many codings of the field are looked at.
    private static let maximumCodings = 32

    /// Whether the request's client takes an answer in gzip.
    static func takesGzip(_ request: Request) -> Bool {
        takesGzip(Array(request.headers[values: .acceptEncoding]))
    }

    /// Whether a client with these values of the field takes an answer in gzip. One without the field is sent none.
    static func takesGzip(_ fields: [String]) -> Bool {
        var byName: Bool?
        var byStar: Bool?
        let text = fields.joined(separator: ",").lowercased().filter { $0 != " " && $0 != "\t" }
        for coding in text.split(separator: ",").prefix(maximumCodings) {
            let parts = coding.split(separator: ";")
            let isTaken = weight(parts.dropFirst()) > 0
            switch parts.first {
            case "gzip", "x-gzip": byName = byName ?? isTaken
            case "*": byStar = byStar ?? isTaken
            default: continue
            }
        }
        return byName ?? byStar ?? false
    }

    /// The weight among a coding's parameters: 1 without one, and 0 for one that is no number.
    private static func weight(_ parameters: some Sequence<Substring>) -> Double {
        guard let parameter = parameters.first(where: { $0.hasPrefix("q=") }) else { return 1 }
        guard let weight = Double(parameter.dropFirst(2)), weight.isFinite else { return 0 }
        return weight
    }
}
