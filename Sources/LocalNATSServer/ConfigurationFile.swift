/// The text of the server's configuration file.
struct ConfigurationFile {
    var configuration: LocalNATSServer.Configuration
    /// The port to listen on; `nil` lets the server pick a free one.
    var port: Int?
    var version: ServerVersion
    var storeDirectory: String
    /// The directory in which the server writes the file with its ports.
    var portsDirectory: String

    var text: String {
        var lines = [
            "host: \(Self.quoted(configuration.host))",
            "port: \(port ?? -1)",
            "ports_file_dir: \(Self.quoted(portsDirectory))",
        ]
        if let name = configuration.serverName { lines.append("server_name: \(Self.quoted(name))") }
        if let bytes = configuration.maxPayload { lines.append("max_payload: \(bytes)") }
        if configuration.jetStream {
            // Without it, a power loss may lose the last two minutes of acknowledged messages.
            let sync = configuration.syncsEachWrite && version.knowsSyncInterval ? ", sync_interval: always" : ""
            let limits =
                configuration.maximumAcknowledgementsPending.map { ", limits { max_ack_pending: \($0) }" } ?? ""
            lines.append("jetstream { store_dir: \(Self.quoted(storeDirectory))\(sync)\(limits) }")
        }
        lines.append(configuration.extraConfiguration)
        return lines.joined(separator: "\n") + "\n"
    }

    /// A string of the server's configuration language.
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for character in text.unicodeScalars {
            switch character {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            default: quoted.unicodeScalars.append(character)
            }
        }
        return quoted + "\""
    }
}
