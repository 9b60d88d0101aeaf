import ArgumentParser

/// The format in which events are printed.
enum EventFormat: String, ExpressibleByArgument, CaseIterable {
    /// Rows for people.
    case text
    /// The wire format, one event per line.
    case json
    /// CloudEvents 1.0 in JSON, structured mode, one event per line.
    case cloudevents

    /// The format of lines for programs; `nil` for rows.
    var lines: LineFormat? {
        switch self {
        case .text: nil
        case .json: .json
        case .cloudevents: .cloudevents
        }
    }
}

/// The options for how a command prints events.
struct EventOutputOptions: ParsableArguments {
    @Flag(help: "Print one event per line as JSON, in the format in which this program emits; short for --format json.")
    var json = false

    @Option(
        help: ArgumentHelp(
            "How to print events: text, json, or cloudevents (CloudEvents 1.0 as JSON, one per line). Default: text.",
            valueName: "format"
        )
    )
    var format: EventFormat?

    /// The format that the options select.
    var chosen: EventFormat { format ?? (json ? .json : .text) }

    func validate() throws {
        if json, let format, format != .json {
            throw ValidationError("--json and --format \(format.rawValue) exclude each other; give one")
        }
    }
}

/// The format of the lines in a file of events.
enum LineFormat: String, ExpressibleByArgument, CaseIterable {
    /// The wire format.
    case json
    /// CloudEvents 1.0 in JSON, structured mode.
    case cloudevents
}

/// The option for how events are printed.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print one line of JSON.")
    var json = false
}
