import MeshDashboard
import MeshEvents

/// What the page is served with over HTTPS, and its users: files that are read again while it runs.
struct PageAccess: Sendable {
    /// `nil` for HTTP.
    let certificate: ServerCertificate?
    /// The list of the users; `nil` for none.
    let usersFile: String?

    /// Whether there is something to read again.
    var hasFiles: Bool { certificate != nil || usersFile != nil }

    /// Reads the certificate; says when it has ended, and what comes of new ones.
    ///
    /// - Parameters:
    ///   - file: the certificate; `nil` for HTTP.
    ///   - keyFile: its key.
    ///   - usersFile: the list of the users; `nil` for none.
    /// - Throws: `CommandFailure`, usage; `MeshEventsError` for files that cannot be used.
    init(certificate file: String?, key keyFile: String?, users usersFile: String?) throws {
        self.usersFile = usersFile
        switch (file, keyFile) {
        case (nil, nil): certificate = nil
        case (let file?, let keyFile?):
            let certificate = try ServerCertificate(file: file, keyFile: keyFile) { Self.say($0) }
            if certificate.end < .now {
                Diagnostics.say(
                    "warning: the certificate \(file) has ended on \(certificate.end): browsers refuse it; renew it"
                )
            }
            self.certificate = certificate
        default: throw CommandFailure(.usage, "HTTPS needs both files: --https-cert and --https-key")
        }
    }

    /// The users of the list; `nil` without one.
    ///
    /// - Throws: `MeshEventsError`.
    func users() throws(MeshEventsError) -> [DashboardUser]? {
        guard let usersFile else { return nil }
        return try DashboardUser.list(file: usersFile)
    }

    /// Reads the files again, and says what came of it.
    ///
    /// - Parameter dashboard: the page with these users; `nil` for none.
    func reload(_ dashboard: Dashboard?) {
        if let certificate {
            do throws(MeshEventsError) {
                try certificate.reload()
                Self.say(.success(certificate.end))
            } catch {
                Self.say(.failure(error))
            }
        }
        guard let dashboard else { return }
        do throws(MeshEventsError) {
            guard let users = try users() else { return }
            dashboard.replace(users: users)
            Diagnostics.say("the users of the page have been read again: \(users.count)")
        } catch {
            Diagnostics.say("the users of the page stay as they are: \(error.message)")
        }
    }

    private static func say(_ outcome: Result<Timestamp, MeshEventsError>) {
        switch outcome {
        case .success(let end): Diagnostics.say("the certificate has been read again; it is valid until \(end)")
        case .failure(let error): Diagnostics.say("the former certificate stays in use: \(error.message)")
        }
    }
}
