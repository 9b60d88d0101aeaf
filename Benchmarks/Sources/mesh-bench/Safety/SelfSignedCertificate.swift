import EventWork
import Foundation

/// A certificate for 127.0.0.1 that vouches for itself, made with the `openssl` command.
final class SelfSignedCertificate: Sendable {
    private let directory: URL

    var file: String { directory.appendingPathComponent("server.pem").path }
    var keyFile: String { directory.appendingPathComponent("server.key").path }

    init() throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("mesh-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: directory,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
        _ = try ChildProcess.output(
            of: "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=mesh-bench", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                "-keyout", keyFile, "-out", file,
            ]
        )
    }

    deinit { try? FileManager.default.removeItem(at: directory) }
}
