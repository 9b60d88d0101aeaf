package import Logging

extension Logger {
    /// Metadata by the package's own keys; the values are made only when the line is written.
    package typealias Fields = KeyValuePairs<LogKey, Logger.MetadataValue>

    /// Writes a line at level debug.
    package func debug(
        _ message: @autoclosure () -> Logger.Message,
        _ fields: @autoclosure () -> Fields,
        file: String = #fileID,
        function: String = #function,
        line: UInt = #line
    ) {
        write(.debug, message(), fields(), file, function, line)
    }

    /// Writes a line at level info.
    package func info(
        _ message: @autoclosure () -> Logger.Message,
        _ fields: @autoclosure () -> Fields,
        file: String = #fileID,
        function: String = #function,
        line: UInt = #line
    ) {
        write(.info, message(), fields(), file, function, line)
    }

    /// Writes a line at level notice.
    package func notice(
        _ message: @autoclosure () -> Logger.Message,
        _ fields: @autoclosure () -> Fields,
        file: String = #fileID,
        function: String = #function,
        line: UInt = #line
    ) {
        write(.notice, message(), fields(), file, function, line)
    }

    /// Writes a line at level warning.
    package func warning(
        _ message: @autoclosure () -> Logger.Message,
        _ fields: @autoclosure () -> Fields,
        file: String = #fileID,
        function: String = #function,
        line: UInt = #line
    ) {
        write(.warning, message(), fields(), file, function, line)
    }

    /// Writes a line at level error.
    package func error(
        _ message: @autoclosure () -> Logger.Message,
        _ fields: @autoclosure () -> Fields,
        file: String = #fileID,
        function: String = #function,
        line: UInt = #line
    ) {
        write(.error, message(), fields(), file, function, line)
    }

    /// The metadata of this key on every line of the logger.
    package subscript(key key: LogKey) -> Logger.MetadataValue? {
        get { self[metadataKey: key.rawValue] }
        set { self[metadataKey: key.rawValue] = newValue }
    }

    private func write(
        _ level: Logger.Level,
        _ message: @autoclosure () -> Logger.Message,
        _ fields: @autoclosure () -> Fields,
        _ file: String,
        _ function: String,
        _ line: UInt
    ) {
        guard logLevel <= level else { return }
        let metadata = Logger.Metadata(fields().map { ($0.key.rawValue, $0.value.harmless) }) { $1 }
        let message = Logger.Message(stringLiteral: message().description.harmless)
        log(level: level, message, metadata: metadata, file: file, function: function, line: line)
    }
}

extension Logger.MetadataValue {
    /// The value with all its texts made safe for a log line, whatever their source.
    fileprivate var harmless: Logger.MetadataValue {
        switch self {
        case .string(let text): .string(text.harmless)
        case .stringConvertible(let value): .string(value.description.harmless)
        case .array(let values): .array(values.map(\.harmless))
        case .dictionary(let values): .dictionary(values.mapValues(\.harmless))
        }
    }
}
