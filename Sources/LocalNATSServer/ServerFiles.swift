#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif
#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The files of one server: a private temporary directory with its configuration and its ports file, and with its log
/// and its store unless the configuration names others.
struct ServerFiles: Sendable {
    /// Only its owner can read it, because the configuration may contain passwords. Removed at the end.
    let directory: String
    let store: String
    let log: String

    var configuration: String { directory + "/nats-server.conf" }

    /// Makes the directories, and checks that the server will be able to write to them.
    init(_ configuration: LocalNATSServer.Configuration) throws(LocalNATSServerError) {
        directory = try Self.makePrivateDirectory()
        store = configuration.storeDirectory ?? directory + "/store"
        log = configuration.logFile ?? directory + "/nats-server.log"
        do {
            if configuration.jetStream { try Self.prepareStore(store) }
            try Self.prepareLog(log)
        } catch {
            remove()
            throw error
        }
    }

    /// Removes the private directory and all in it.
    func remove() {
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Writes the configuration file, readable by its owner only.
    func writeConfiguration(_ text: String) throws(LocalNATSServerError) {
        func failure() -> LocalNATSServerError {
            LocalNATSServerError(
                .filesNotWritable,
                "Cannot write \(configuration): \(Self.lastError). Is the disk full?"
            )
        }
        let file = open(configuration, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure() }
        defer { close(file) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure() }
            rest = rest.dropFirst(count)
        }
    }

    /// The files in which a server process writes its ports.
    func portsFiles() -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.filter { $0.hasSuffix(".ports") }.map { directory + "/" + $0 }
    }

    /// Removes the ports files of earlier processes: a killed process leaves its file.
    func removePortsFiles() {
        for file in portsFiles() { try? FileManager.default.removeItem(atPath: file) }
    }

    /// The last lines of the log, at most 20, from `offset` on.
    func lastLogLines(from offset: Int) -> [String] {
        let file = open(log, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        let end = Int(lseek(file, 0, SEEK_END))
        let start = max(offset, end - 8192)
        guard end > start, lseek(file, off_t(start), SEEK_SET) >= 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: end - start)
        let count = bytes.withUnsafeMutableBytes { read(file, $0.baseAddress, $0.count) }
        guard count > 0 else { return [] }
        let text = String(decoding: bytes.prefix(count), as: UTF8.self)
        return text.split(whereSeparator: \.isNewline).suffix(20).map(String.init)
    }

    /// How long the log is now, in bytes.
    var logSize: Int {
        let file = open(log, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return 0 }
        defer { close(file) }
        return max(0, Int(lseek(file, 0, SEEK_END)))
    }

    private static func makePrivateDirectory() throws(LocalNATSServerError) -> String {
        let environment = ProcessInfo.processInfo.environment["TMPDIR"] ?? ""
        var parent = environment.isEmpty ? "/tmp" : environment
        if parent.count > 1, parent.hasSuffix("/") { parent.removeLast() }
        // mkdtemp makes it with mode 0700 and a name that was free.
        var template = Array((parent + "/mesh-events-nats.XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw LocalNATSServerError(
                .filesNotWritable,
                "Cannot create a temporary directory in \(parent): \(lastError). Set TMPDIR to a writable directory."
            )
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func prepareStore(_ path: String) throws(LocalNATSServerError) {
        do {
            // Other users must not read the events.
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            // The check below reports the error, in the system's words instead of Foundation's.
        }
        // Only an attempt tells: permission bits say nothing about read-only file systems, access lists or root.
        var probe = Array((path + "/.mesh-events.XXXXXX").utf8CString)
        let file = mkstemp(&probe)
        guard file >= 0 else {
            throw LocalNATSServerError(
                .storeNotWritable,
                "Cannot write to the store directory \(path): \(lastError). Name a directory that this user can write."
            )
        }
        close(file)
        unlink(probe)
    }

    private static func prepareLog(_ path: String) throws(LocalNATSServerError) {
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw LocalNATSServerError(
                .filesNotWritable,
                "Cannot write the log file \(path): \(lastError). Name a file that this user can write."
            )
        }
        close(file)
    }

    private static var lastError: String { String(cString: strerror(errno)) }
}

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
