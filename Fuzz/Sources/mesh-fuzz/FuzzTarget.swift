import Foundation

/// What is attacked: `MESH_FUZZ_TARGET` names it.
enum FuzzTarget: String, CaseIterable {
    /// A message as an event, against Foundation and against itself.
    case event
    /// A text as event data, the same.
    case data
    /// A text as RFC 3339.
    case timestamp
    /// A text as event type, pattern and subject.
    case subject
    /// A text as a condition on the data of events, and the data after its first line break.
    case condition
    /// Bytes of a server, in one piece and in many.
    case `protocol`
    /// A text as a node's manifest.
    case manifest
    /// A text of /proc, or of the programs of GPUs' makers.
    case figures
    /// An error made on purpose, which the fuzzer and the address sanitizer have to find.
    case canary

    static let chosen: FuzzTarget = {
        let name = ProcessInfo.processInfo.environment["MESH_FUZZ_TARGET"] ?? ""
        guard let target = FuzzTarget(rawValue: name) else {
            let names = allCases.map(\.rawValue).joined(separator: ", ")
            FileHandle.standardError.write(Data("MESH_FUZZ_TARGET must be one of \(names)\n".utf8))
            exit(64)
        }
        return target
    }()

    func run(_ bytes: UnsafeRawBufferPointer) {
        switch self {
        case .event: attackEvent(Array(bytes))
        case .data: attackData(Array(bytes))
        case .timestamp: attackTimestamp(bytes)
        case .subject: attackSubject(String(decoding: bytes, as: UTF8.self))
        case .condition: attackCondition(String(decoding: bytes, as: UTF8.self))
        case .protocol: attackProtocol(Array(bytes))
        case .manifest: attackManifest(String(decoding: bytes, as: UTF8.self))
        case .figures: attackFigures(Array(bytes))
        case .canary: overread(bytes)
        }
    }
}

/// Ends the run: the fuzzer keeps the input.
func finding(_ what: String, _ input: String) -> Never {
    fatalError("\(what); input: \(input.debugDescription)")
}

/// Reads a word beyond its text, as the codec would if it were wrong, behind a gate that only coverage finds.
private func overread(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= 4, bytes[0] == UInt8(ascii: "F"), bytes[1] == UInt8(ascii: "U"),
        bytes[2] == UInt8(ascii: "Z"), bytes[3] == UInt8(ascii: "Z")
    else { return }
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    copy.copyMemory(from: bytes)
    let start = UnsafeRawPointer(copy.baseAddress!)  // not empty
    if start.loadUnaligned(fromByteOffset: bytes.count - 3, as: UInt64.self) == 0 { print("a lucky read") }
    copy.deallocate()
}
