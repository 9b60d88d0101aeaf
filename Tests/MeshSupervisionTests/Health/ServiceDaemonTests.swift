#if os(Linux)
    import Foundation
    import MeshEvents
    import MeshSupervision
    import TestSupport
    import Testing

    /// Daemons that were made for systemd, run unchanged.
    @Suite("Daemons that speak sd_notify", .timeLimit(.minutes(3)))
    struct ServiceDaemonTests {
        /// The path of a program that `Scripts/setup.sh test` has unpacked.
        private func program(_ path: String) throws -> String {
            let program = NATSServers.packageDirectory + "/.tools/" + path
            guard FileManager.default.isExecutableFile(atPath: program) else {
                throw TestSupportError("There is no \(program): run Scripts/setup.sh test")
            }
            return program
        }

        @Test("Debian's redis-server --supervised systemd: ready, what it says, SIGSTOP, and its end")
        func redis() async throws {
            let bench = try ToolBench(clock: ContinuousClock())
            let port = try freePorts(1)[0]
            let cli = try program("redis/usr/bin/redis-cli")
            let tool = ToolSpecification(
                name: "redis",
                version: "7",
                command: [
                    try program("redis/usr/bin/redis-server"), "--supervised", "systemd", "--port", "\(port)", "--bind",
                    "127.0.0.1", "--save", "", "--dir", bench.directory.path,
                ],
                restart: RestartPolicy(initialDelay: .milliseconds(10)),
                health: ToolHealth(
                    check: ToolProbe(
                        .command([cli, "-p", "\(port)", "ping"]),
                        every: .milliseconds(500),
                        timeout: .seconds(2),
                        failures: 2
                    ),
                    readiness: .notified
                )
            )
            try await bench.run(tool)
            try await eventually("redis to be ready: \(bench.logged.lines)") { bench.events.contains("ready") }
            #expect(bench.events == ["installed 7", "started, not ready", "ready"])
            #expect(bench.supervisor.tool(named: "redis")?.health.text == "Ready to accept connections")
            kill(try bench.pid("redis"), SIGSTOP)
            try await eventually("redis to be healthy again") { bench.events.last == "healthy" }
            #expect(
                bench.events.suffix(5) == [
                    "unhealthy no answer within 2s 2, restarting", "crashed unhealthy: no answer within 2s 1",
                    "started, not ready", "ready", "healthy",
                ]
            )
            try await bench.supervisor.stop("redis")
            #expect(bench.events.last == "stopped stopped")
        }

        @Test("Debian's nginx with its health page: ready when the page is there, unhealthy when it is not")
        func nginx() async throws {
            let bench = try ToolBench(clock: ContinuousClock())
            let port = try freePorts(1)[0]
            let configuration = """
                daemon off;
                worker_processes 1;
                pid \(bench.directory.path)/pid;
                error_log stderr;
                events {}
                http {
                    access_log off;
                    client_body_temp_path \(bench.directory.path)/body;
                    proxy_temp_path \(bench.directory.path)/proxy;
                    fastcgi_temp_path \(bench.directory.path)/fastcgi;
                    uwsgi_temp_path \(bench.directory.path)/uwsgi;
                    scgi_temp_path \(bench.directory.path)/scgi;
                    server { listen 127.0.0.1:\(port); location /health { root \(bench.directory.path); } }
                }
                """
            let file = try bench.directory.file("nginx.conf", configuration)
            try bench.directory.file("health", "works")
            let probe = ToolProbe(.http("http://127.0.0.1:\(port)/health"), every: .milliseconds(200), failures: 2)
            let tool = ToolSpecification(
                name: "nginx",
                version: "1",
                command: [try program("nginx/usr/sbin/nginx"), "-p", bench.directory.path, "-c", file],
                health: ToolHealth(check: probe, readiness: .probed(probe), onUnhealthy: .nothing)
            )
            try await bench.run(tool)
            try await eventually("nginx to be ready: \(bench.logged.lines)") { bench.events.contains("ready") }
            try FileManager.default.removeItem(atPath: bench.directory.path + "/health")
            try await eventually("nginx to be unhealthy") { bench.events.last == "unhealthy it answered 404 2" }
            try bench.directory.file("health", "works")
            try await eventually("nginx to be healthy") { bench.events.last == "healthy" }
            await bench.supervisor.shutdown()
        }
    }
#endif
