import Foundation

/// A private CA with a server's and a client's certificate, made with the `openssl` command.
public struct Certificates: Sendable {
    private let directory: TemporaryDirectory
    /// The authority of the server's and the client's certificate.
    public var ca: String { path("ca.pem") }
    /// An authority that has signed neither.
    public var otherCA: String { path("other.pem") }
    /// The server's certificate, for localhost and 127.0.0.1.
    public var server: String { path("server.pem") }
    /// The server's key.
    public var serverKey: String { path("server.key") }
    /// The client's certificate.
    public var client: String { path("client.pem") }
    /// The client's key.
    public var clientKey: String { path("client.key") }

    private func path(_ name: String) -> String { "\(directory.path)/\(name)" }

    /// Makes them, in a directory that goes with the last reference.
    ///
    /// - Parameters:
    ///   - names: what the certificates are for, as in `subjectAltName`.
    ///   - days: how long they are valid; a negative number makes them expired.
    /// - Throws: `TestSupportError` with what `openssl` said.
    public static func make(
        names: String = "DNS:localhost,IP:127.0.0.1",
        days: Int = 2
    ) async throws -> Certificates {
        let directory = try TemporaryDirectory()
        try directory.file(
            "extensions",
            "subjectAltName=\(names)\nextendedKeyUsage=serverAuth,clientAuth\n"
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
              openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days \(days) \\
                -extfile extensions -out $name.pem
            done
            """
        )
        // Not the script itself: another test's child may hold it open for writing for a moment, and it is "busy" then.
        try SpawnedProcess.run("/bin/sh", [script])
        return Certificates(directory: directory)
    }
}
