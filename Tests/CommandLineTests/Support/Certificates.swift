import Foundation
import TestSupport

/// A private CA with a server's and a client's certificate, made with the `openssl` command.
struct Certificates {
    let directory: TemporaryDirectory
    var ca: String { path("ca.pem") }
    var otherCA: String { path("other.pem") }
    var server: String { path("server.pem") }
    var serverKey: String { path("server.key") }
    var client: String { path("client.pem") }
    var clientKey: String { path("client.key") }

    private func path(_ name: String) -> String { "\(directory.path)/\(name)" }

    static func make() async throws -> Certificates {
        let directory = try TemporaryDirectory()
        try directory.file(
            "extensions",
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n"
        )
        let script = try directory.script(
            "make",
            """
            set -e
            cd '\(directory.path)'
            for ca in ca other; do
              openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \\
                -subj "/CN=Test $ca" -keyout $ca.key -out $ca.pem
            done
            for name in server client; do
              openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout $name.key -out $name.csr
              openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \\
                -extfile extensions -out $name.pem
            done
            """
        )
        let process = Process()
        process.executableURL = URL(fileURLWithPath: script)
        let output = Pipe()
        process.standardError = output
        process.standardOutput = output
        try process.run()
        let text = try output.fileHandleForReading.readToEnd().map { String(decoding: $0, as: UTF8.self) } ?? ""
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw TestSupportError("openssl made no certificates: \(text)") }
        return Certificates(directory: directory)
    }
}
