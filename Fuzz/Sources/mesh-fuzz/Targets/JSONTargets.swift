import MeshJSON

@testable import MeshEvents

/// A message: Foundation has to agree, and what is read has to survive being written.
func attackEvent(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    if case .differ(let how) = FoundationComparison.compareEvent(bytes) {
        finding("Foundation disagrees: \(how)", text)
    }
    let received = Timestamp(nanosecondsSinceEpoch: 42)
    let subject = FoundationComparison.subject(of: bytes)
    guard let event = try? EventDecoder.decode(subject: subject, payload: bytes, received: received) else { return }
    do {
        let written = try EventEncoder().encode(event)
        let again = try EventDecoder.decode(subject: event.subject, payload: written, received: received)
        guard again.type == event.type, again.node.utf8.elementsEqual(event.node.utf8),
            again.timestamp == event.timestamp, again.data == event.data
        else { finding("it reads differently once written: \(String(decoding: written, as: UTF8.self))", text) }
    } catch {
        finding("it cannot be written and read: \(error)", text)
    }
    // A decoder that has seen it before answers the same.
    var decoder = EventDecoder()
    for _ in 0..<2 {
        let same = subject.withBytes { subject in
            bytes.withUnsafeBytes { payload in
                try? decoder.decode(subject: UnsafeRawBufferPointer(subject), payload: payload, received: received)
            }
        }
        guard same?.type == event.type, same?.node == event.node else { finding("the second look differs", text) }
    }
}

/// Event data: as above, and every way to look inside agrees with the tree.
func attackData(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    if case .differ(let how) = FoundationComparison.compareData(bytes) {
        finding("Foundation disagrees: \(how)", text)
    }
    guard let data = try? EventData(json: bytes) else { return }
    let value = data.value
    guard let object = value.object else {
        guard data.isNull else { finding("neither an object nor null", text) }
        return
    }
    guard let again = try? EventData(json: data.json), again == data, again.json == data.json else {
        finding("its own text reads differently", text)
    }
    // A number beyond a double's range is kept as it came, and cannot be made anew.
    if (try? data.checkNumbers()) != nil {
        let written = EventData(object).json
        guard let rebuilt = try? EventData(json: written), rebuilt == data, rebuilt.hashValue == data.hashValue else {
            finding("its tree reads differently once written: \(written)", text)
        }
    }
    for (key, value) in object {
        guard let field = data[key], field.value == value else { finding("the member \(key) differs", text) }
        guard field.string == value.string, field.int64 == value.number?.int64, field.bool == value.bool else {
            finding("the member \(key) reads differently", text)
        }
    }
    guard Set(data.keys.map { Array($0.utf8) }).count == object.count else { finding("the names differ", text) }
}
