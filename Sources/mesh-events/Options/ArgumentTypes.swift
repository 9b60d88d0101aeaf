import Foundation
import MeshDashboard
import MeshEvents
import MeshSupervision

/// Parses durations of options: `90s`, `10m`, `1h30m`, `2d`, `1.5h`, `500ms`.
enum DurationArgument {
    /// The duration of an option, above zero; `nil` when the option is missing.
    ///
    /// - Throws: `CommandFailure`, usage.
    static func option(_ name: String, _ text: String?) throws -> Duration? {
        try text.map { try option(name, $0) }
    }

    /// The duration of an option: above zero, or with `mayBeZero` also zero.
    ///
    /// - Throws: `CommandFailure`, usage.
    static func option(_ name: String, _ text: String, mayBeZero: Bool = false) throws -> Duration {
        guard let duration = parse(text), mayBeZero || duration > .zero else {
            throw CommandFailure(.usage, "\(name) is a time like 15s, 10m or 2h30m, not \(text.debugDescription)")
        }
        return duration
    }

    /// The duration, as in a manifest; `nil` when the text is none, or the duration is too long.
    static func parse(_ text: String) -> Duration? { ManifestDuration.parse(text) }
}

/// Parses how long a lease lasts (`--lease`).
enum LeaseArgument {
    /// The duration; `nil` when the option is missing.
    ///
    /// - Throws: `CommandFailure`, usage.
    static func duration(_ text: String?) throws -> Duration? {
        let lease = try DurationArgument.option("--lease", text)
        if let lease, lease < .milliseconds(300) {
            throw CommandFailure(.usage, "--lease must be at least 300ms: it is renewed three times in that time")
        }
        return lease
    }
}

/// Parses a point in time of an option: how long ago (`10m`), or RFC 3339.
enum TimeBound {
    /// The time.
    ///
    /// - Throws: `CommandFailure`, usage, naming the option.
    static func parse(_ text: String, option: String, now: Timestamp = .now) throws -> Timestamp {
        if let ago = DurationArgument.parse(text) { return now.subtracting(ago) }
        do throws(MeshEventsError) {
            return try Timestamp(rfc3339: text)
        } catch {
            throw CommandFailure(
                .usage,
                "\(option) is how long ago (90s, 10m, 2h30m, 1d) or a time in RFC 3339 "
                    + "(2026-11-24T09:04:34Z, 2026-11-24T10:04:34+01:00), not \(text.debugDescription)"
            )
        }
    }
}

/// Parses the start of a replay (`--from`).
enum ReplayStartArgument {
    /// The start.
    ///
    /// - Throws: `CommandFailure`, usage.
    static func parse(_ text: String, now: Timestamp = .now) throws -> StreamStart {
        switch text {
        case "beginning": return .beginning
        case "new": return .new
        default: break
        }
        if !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) {
            guard let sequence = UInt64(text) else {
                throw CommandFailure(.usage, "--from \(text) is not a sequence: it has more than 64 bits")
            }
            return .sequence(sequence)
        }
        if let ago = DurationArgument.parse(text) { return .time(now.subtracting(ago)) }
        if let time = try? Timestamp(rfc3339: text) { return .time(time) }
        throw CommandFailure(
            .usage,
            "--from is beginning, new, a sequence (17), how long ago (90s, 10m, 1d) or a time in RFC 3339 "
                + "(2026-11-24T09:04:34Z), not \(text.debugDescription)"
        )
    }
}

/// Parses patterns and types of arguments; the prefix `events.` is optional.
enum PatternArgument {
    /// The pattern of an argument; without one, every event.
    static func pattern(_ text: String?) throws -> EventPattern {
        guard let text else { return .all }
        do throws(MeshEventsError) {
            return try EventPattern(text)
        } catch {
            throw CommandFailure(.usage, error.message)
        }
    }

    /// The patterns of arguments; without one, every event.
    static func patterns(_ texts: [String]) throws -> [EventPattern] {
        texts.isEmpty ? [.all] : try texts.map { try pattern($0) }
    }

    /// The type of an argument.
    static func type(_ text: String) throws(MeshEventsError) -> EventType {
        try EventType(text.hasPrefix("events.") ? String(text.dropFirst("events.".count)) : text)
    }
}

/// Makes event data from `key=value` arguments: a value that parses as JSON is JSON, any other is a string.
enum FieldArguments {
    /// The data: the members of `base`, then those of the arguments in their order. An argument replaces a member of
    /// `base` with the same name.
    ///
    /// - Throws: `CommandFailure`: usage for an argument that is not `key=value`, and for a name given twice.
    static func data(_ arguments: [String], base: EventData = .empty) throws -> EventData {
        guard !base.isNull || arguments.isEmpty else {
            throw CommandFailure(.usage, "key=value needs an object to go into, and --data is null")
        }
        var members = base.members.map { (key: $0.key, json: $0.value.json) }
        var names: Set<String> = []
        for argument in arguments {
            let (key, value) = try split(argument)
            guard names.insert(key).inserted else {
                throw CommandFailure(.usage, "\(key.debugDescription) is given twice")
            }
            members.removeAll { $0.key == key }
            members.append((key, try json(value, of: key)))
        }
        let text = members.map { "\(JSONValue.string($0.key)):\($0.json)" }.joined(separator: ",")
        return try EventData(json: "{\(text)}")
    }

    private static func split(_ argument: String) throws -> (key: String, value: String) {
        guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else {
            throw CommandFailure(.usage, "\(argument.debugDescription) is not key=value")
        }
        return (String(argument[..<equals]), String(argument[argument.index(after: equals)...]))
    }

    /// The value's JSON text.
    ///
    /// - Throws: `CommandFailure`: bad data for a number that some JSON readers cannot read.
    private static func json(_ value: String, of key: String) throws -> String {
        // Parsed as the only member of an object; a value that would add another member counts as a string.
        if let data = try? EventData(json: "{\"\":\(value)}"), data.members.count == 1, let field = data[""] {
            do throws(MeshEventsError) {
                try data.checkNumbers()
            } catch {
                throw CommandFailure(.badData, "\(key.debugDescription): \(error.message), \(key)='\"\(value)\"'")
            }
            return field.json
        }
        return JSONValue.string(value).description
    }
}

/// Tells whether an address is of this machine alone.
enum LoopbackAddress {
    /// Whether other machines can reach a server on this address, as far as the address tells.
    static func isOpen(_ host: String) -> Bool {
        HostPort(host.contains(":") ? "[\(host)]" : host)?.isLoopback != true
    }
}

/// Makes paths absolute, so that they stay valid in another working directory.
enum AbsolutePath {
    static func of(_ path: String) -> String {
        path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
    }
}

/// The directory that relative paths start from.
enum PresentDirectory {
    /// Checks that files can be named below a path. A name that is not UTF-8 would become another one.
    ///
    /// - Throws: `CommandFailure`, usage.
    static func check(for path: String) throws {
        guard !path.unicodeScalars.contains("\u{FFFD}") else {
            throw CommandFailure(.usage, "the name \(SafeText.name(path)) is not UTF-8: take another one")
        }
        guard !path.hasPrefix("/") else { return }
        guard let present = getcwd(nil, 0) else {
            throw CommandFailure(.usage, "the present directory is gone or may not be read: change to another one")
        }
        defer { free(present) }
        guard String(validatingCString: present) != nil else {
            throw CommandFailure(
                .usage,
                "the path of the present directory is not UTF-8, so tools cannot be started in it: change to another one"
            )
        }
    }
}
