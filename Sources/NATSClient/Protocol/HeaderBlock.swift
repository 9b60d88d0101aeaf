/// A header block as received: `NATS/1.0[ status[ description]]`, then one line per field, then an empty line.
///
/// Peers may write anything into it, so reading is lenient: a line that is not a field is skipped, bytes outside UTF-8
/// are replaced, and no content traps or ends a connection.
struct HeaderBlock {
    let bytes: UnsafeRawBufferPointer

    /// The status code and its text in the first line, as in `NATS/1.0 503` or `NATS/1.0 408 Request Timeout`.
    var status: (code: Int, description: String)? {
        let end = bytes.firstIndex { $0 == 0x0D || $0 == 0x0A } ?? bytes.count
        guard end > 8 else { return nil }
        let line = UnsafeRawBufferPointer(rebasing: bytes[..<end])
        var fields = FieldReader(line, from: 8)
        guard let code = fields.next()?.decimal(), code <= 999 else { return nil }
        let text = String(decoding: line[8...], as: UTF8.self)
        return (Int(code), String(text.drop { $0 == " " }.drop { $0 != " " }.drop { $0 == " " }))
    }

    /// The most fields that are read: a field takes more memory than it has bytes.
    static let maximumFields = 4_096

    /// The fields, in order; those beyond ``maximumFields`` are left out.
    func fields() -> NATSHeaders {
        var headers = NATSHeaders()
        var start = bytes.firstIndex(of: 0x0A).map { $0 + 1 } ?? bytes.count
        while start < bytes.count, headers.fields.count < Self.maximumFields {
            let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
            let line = bytes[start..<end]
            if let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > start {
                headers.append(
                    String(decoding: line[..<colon], as: UTF8.self),
                    String(decoding: Self.trim(line[(colon + 1)...]), as: UTF8.self)
                )
            }
            start = end + 1
        }
        return headers
    }

    private static func trim(_ value: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
        var value = value
        while let first = value.first, first == 0x20 || first == 0x09 { value.removeFirst() }
        while let last = value.last, last == 0x20 || last == 0x09 || last == 0x0D { value.removeLast() }
        return value
    }
}
