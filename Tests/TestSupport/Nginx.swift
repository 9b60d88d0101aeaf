import Foundation
import ProcessGuard

/// Where `Scripts/setup.sh test` puts nginx.
private let binary = NATSServers.packageDirectory + "/.tools/nginx/usr/sbin/nginx"

/// Runs `body` with a real nginx on a free port of loopback, and stops it afterwards however `body` ends.
///
/// - Parameters:
///   - server: the `server` block's content but for `listen`.
///   - listen: what follows the port, `ssl` say.
/// - Throws: `TestSupportError` when nginx cannot be run, else what `body` throws.
public func withNginx<Result>(
    _ server: String,
    listen: String = "",
    _ body: (_ port: Int) async throws -> Result
) async throws -> Result {
    let directory = try TemporaryDirectory()
    let port = try freePorts(1)[0]
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map { "\($0)_temp_path \(directory.path)/\($0);" }.joined(separator: "\n")
    let file = try directory.file(
        "nginx.conf",
        """
        daemon off; master_process off; pid \(directory.path)/pid; error_log stderr;
        events {}
        http {
          access_log off;
          \(paths)
          server { listen 127.0.0.1:\(port) \(listen); \(server) }
        }
        """
    )
    guard TemporaryDirectory.exists(binary) else {
        throw TestSupportError(
            "These tests need nginx: run `make test`, or `Scripts/setup.sh test` before `swift test`"
        )
    }
    let log = directory.path + "/log"
    let process = try await SupervisedProcess.launch(
        .init(executable: binary, arguments: ["-c", file, "-p", directory.path, "-e", "stderr"]),
        appendingTo: log,
        removing: directory.path
    )
    func stop() async {
        process.kill()
        _ = await process.waitForEnd()
    }
    do {
        try await eventually("nginx listens") {
            TemporaryDirectory.exists(directory.path + "/pid")
        }
        let result = try await body(port)
        await stop()
        return result
    } catch {
        await stop()
        throw error
    }
}
