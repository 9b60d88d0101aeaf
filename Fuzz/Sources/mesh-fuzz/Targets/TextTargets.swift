import MeshJSON

@testable import MeshEvents
@testable import MeshSupervision
@testable import NATSClient

/// A time: what is read is written and read as the same moment.
func attackTimestamp(_ bytes: UnsafeRawBufferPointer) {
    let text = String(decoding: bytes, as: UTF8.self)
    let pointer = bytes.assumingMemoryBound(to: UInt8.self)
    guard let timestamp = try? Timestamp(bytes: pointer) else { return }
    let written = timestamp.description
    guard written.utf8.count <= Timestamp.maximumLength, (try? Timestamp(rfc3339: written)) == timestamp else {
        finding("it reads differently once written: \(written)", text)
    }
    // Lower case takes the slow path, to the same end.
    if let slow = try? Timestamp(rfc3339: written.lowercased()), slow != timestamp {
        finding("the slow path reads \(slow)", text)
    }
}

/// A type or pattern: its subject is one for the client too, and it matches what it should.
func attackSubject(_ text: String) {
    if let type = try? EventType(text) {
        guard type.rawValue.utf8.elementsEqual(text.utf8), type.subject == "events." + text else {
            finding("the type reads differently", text)
        }
        do {
            try NATSClient.SubjectRules.validatePublish(type.subject)
        } catch {
            finding("a type that cannot be published: \(error)", text)
        }
        for pattern in [EventPattern(type: type), .all, naive(type.subject)] {
            guard matches(pattern, type.subject) else { finding("\(pattern) does not match", text) }
        }
    }
    // The text as "pattern subject".
    let parts = text.split(separator: " ", maxSplits: 1).map(String.init)
    guard let first = parts.first, let pattern = try? EventPattern(first) else { return }
    do {
        try NATSClient.SubjectRules.validateSubscribe(pattern.subject)
    } catch {
        finding("a pattern that cannot be subscribed to: \(error)", text)
    }
    let subject = parts.count > 1 ? parts[1] : first
    let expected = naiveMatch(pattern.subject, subject)
    if matches(pattern, subject) != expected { finding("it should \(expected ? "" : "not ")match", text) }
}

private func matches(_ pattern: EventPattern, _ subject: String) -> Bool {
    subject.withBytes { pattern.matches(subject: UnsafeRawBufferPointer($0)) }
}

/// The subject with its last token as a wildcard.
private func naive(_ subject: String) -> EventPattern {
    let tokens = subject.utf8.split(separator: UInt8(ascii: "."))
    let kept = tokens.dropLast().map { String(decoding: $0, as: UTF8.self) }
    return (try? EventPattern((kept + ["*"]).joined(separator: "."))) ?? .all
}

/// NATS's rules, token by token.
private func naiveMatch(_ pattern: String, _ subject: String) -> Bool {
    let dot = UInt8(ascii: ".")
    let wanted = pattern.utf8.split(separator: dot, omittingEmptySubsequences: false).map(Array.init)
    let tokens = subject.utf8.split(separator: dot, omittingEmptySubsequences: false).map(Array.init)
    if tokens.contains([]) { return false }
    for (index, token) in wanted.enumerated() {
        if token == [UInt8(ascii: ">")] { return tokens.count > index }
        guard index < tokens.count, token == [UInt8(ascii: "*")] || token == tokens[index] else { return false }
    }
    return wanted.count == tokens.count
}

/// A condition: it says itself so that it is read as the same again, and a comparison with the data after the first line
/// break says what one with its negation denies.
func attackCondition(_ text: String) {
    let parts = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard parts[0].utf8.count < 1_000, let condition = try? EventFilter.Condition(parts[0]) else { return }
    do throws(MeshEventsError) {
        let again = try EventFilter.Condition(condition.description)
        guard again == condition else { finding("it reads differently once written: \(condition)", text) }
        let sample: EventData = ["a": ["b": [1, "x", nil]], "c": 0.5, "node": "pi"]
        let data = parts.count > 1 ? (try? EventData(json: parts[1])) ?? sample : sample
        let opposite: EventFilter.Test? =
            switch condition.test {
            case .isPresent: .isAbsent
            case .isAbsent: .isPresent
            case .equals(let operand): .differs(operand)
            case .differs(let operand): .equals(operand)
            case .isOneOf(let operands): .isNoneOf(operands)
            case .isNoneOf(let operands): .isOneOf(operands)
            case .compares: nil
            }
        let holds = try EventFilter([condition]).matches(data)
        guard let opposite else { return }
        if try EventFilter([EventFilter.Condition(path: condition.path, opposite)]).matches(data) == holds {
            finding("it holds as its negation does", text)
        }
    } catch {
        finding("it cannot be read once written: \(error)", text)
    }
}

/// A manifest: read or refused with places in it, and what is read keeps the rules.
func attackManifest(_ text: String) {
    do throws(ManifestError) {
        let manifest = try ToolManifest.parse(text, file: "/mesh/mesh.yaml", variables: ["HOME": "/home/mesh"])
        for tool in manifest.tools {
            do throws(ToolError) {
                try tool.validate()
            } catch {
                finding("a tool that cannot be installed: \(error)", text)
            }
        }
        let names = Set(manifest.tools.map(\.name))
        if names.count < manifest.tools.count { finding("two tools of a name", text) }
    } catch {
        guard !error.problems.isEmpty, error.problems.allSatisfy({ !$0.message.isEmpty }) else {
            finding("refused without a reason", text)
        }
    }
}
