/// A SOCKS5 proxy on loopback, written in Python: no code of ours is on both sides.
public final class SOCKSServer {
    private let script: Python.Script
    /// Its port.
    public let port: Int

    /// What it has been asked to connect to, as `host:port`, oldest first.
    public var targets: [String] {
        script.output.split(separator: "\n").filter { $0.hasPrefix("connect ") }.map { String($0.dropFirst(8)) }
    }

    /// Starts one.
    ///
    /// - Parameter wantsLogin: whether it wants one, which no client without a login passes.
    public static func start(wantsLogin: Bool = false) async throws -> SOCKSServer {
        let script = try Python.start(program, environment: ["METHOD": wantsLogin ? "255" : "0"])
        try await script.waitForOutput("listening ")
        let line = script.output.split(separator: "\n").first { $0.hasPrefix("listening ") }
        guard let port = line.flatMap({ Int($0.dropFirst(10)) }) else {
            throw TestSupportError("The SOCKS proxy did not start: \(script.output)")
        }
        return SOCKSServer(script, port)
    }

    private init(_ script: Python.Script, _ port: Int) { (self.script, self.port) = (script, port) }

    private static let program = #"""
        import os, socket, struct, threading

        def exactly(peer, count):
            data = b""
            while len(data) < count:
                part = peer.recv(count - len(data))
                if not part:
                    raise EOFError
                data += part
            return data

        def pump(source, sink):
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
            except OSError:
                pass
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

        def serve(client):
            try:
                exactly(client, exactly(client, 2)[1])
                method = int(os.environ["METHOD"])
                client.sendall(bytes([5, method]))
                if method == 255:
                    return client.close()
                kind = exactly(client, 4)[3]
                if kind == 1:
                    host = socket.inet_ntop(socket.AF_INET, exactly(client, 4))
                elif kind == 4:
                    host = socket.inet_ntop(socket.AF_INET6, exactly(client, 16))
                else:
                    host = exactly(client, exactly(client, 1)[0]).decode()
                port = struct.unpack("!H", exactly(client, 2))[0]
                print(f"connect {host}:{port}")
                try:
                    server = socket.create_connection((host, port), 10)
                except OSError:
                    client.sendall(b"\x05\x05\x00\x01" + bytes(6))
                    return client.close()
                server.settimeout(None)
                client.sendall(b"\x05\x00\x00\x01" + bytes(6))
                threading.Thread(target=pump, args=(server, client), daemon=True).start()
                pump(client, server)
            except (EOFError, OSError):
                client.close()

        listener = socket.create_server(("127.0.0.1", 0))
        print(f"listening {listener.getsockname()[1]}")
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client,), daemon=True).start()
        """#
}
