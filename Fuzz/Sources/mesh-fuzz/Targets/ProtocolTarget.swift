import MessageGrammar
@testable import NATSClient

/// Bytes of a server: the same operations, whatever pieces they come in. The first byte says in which.
func attackProtocol(_ input: [UInt8]) {
    guard let first = input.first else { return }
    let bytes = Array(input.dropFirst())
    let whole = Reading([bytes])
    var pieces: [[UInt8]] = []
    var start = 0
    var state = UInt32(first)
    while start < bytes.count {
        state = state &* 1_664_525 &+ 1_013_904_223
        let size = first == 0 ? 1 : 1 + Int(state >> 16) % (Int(first) + 1)
        pieces.append(Array(bytes[start..<min(start + size, bytes.count)]))
        start += size
    }
    let parts = Reading(pieces)
    guard whole == parts else {
        finding("in pieces it reads \(parts), whole \(whole)", String(decoding: bytes, as: UTF8.self))
    }
}

/// What a parser made of bytes.
private struct Reading: Equatable {
    var operations: [String] = []
    var error: NATSError.Code?
    var left = 0

    init(_ pieces: [[UInt8]]) {
        var parser = ProtocolParser()
        var waiting: [UInt8] = []
        var operations: [String] = []
        do throws(NATSError) {
            for piece in pieces {
                waiting += piece
                let used = waiting.withUnsafeBytes { bytes in
                    Result { () throws(NATSError) in
                        var offset = 0
                        while offset < bytes.count,
                            let (operation, length) = try parser.next(
                                in: UnsafeRawBufferPointer(rebasing: bytes[offset...])
                            )
                        {
                            operations.append(Self.describe(operation))
                            offset += length
                        }
                        return offset
                    }
                }
                waiting.removeFirst(try used.get())
            }
            left = waiting.count
        } catch {
            self.error = error.code
        }
        self.operations = operations
    }

    /// All of it, so that all of it is read.
    private static func describe(_ operation: ServerOperation) -> String {
        switch operation {
        case .info(let json):
            let info = try? ServerInfo.parse(json)
            return "INFO \(Array(json)) \(info?.serverID ?? "-") \(info?.clusterAddresses ?? [])"
        case .message(let frame):
            let block = HeaderBlock(bytes: frame.headers)
            let head = "\(frame.sid) \(Array(frame.subject)) \(Array(frame.reply)) \(Array(frame.payload))"
            return "MSG \(head) \(String(describing: block.status)) \(block.fields())"
        case .ping: return "PING"
        case .pong: return "PONG"
        case .ok: return "+OK"
        case .error(let text): return "-ERR \(text)"
        }
    }
}
