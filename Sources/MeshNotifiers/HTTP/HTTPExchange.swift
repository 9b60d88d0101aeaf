import MeshConcurrency

#if TLS
    import AsyncHTTPClient
    import NIOCore
    import NIOHTTP1
    import NIOPosix
    import NIOSSL
#endif

#if TLS
    /// Sends requests with AsyncHTTPClient, which has a client for each proxy.
    final class HTTPExchange: Sendable {
        private static let longestBody = 8_192
        /// How long the body of an answer may take; its status says enough.
        private static let bodyTimeout: Duration = .seconds(2)

        private struct State {
            var clients: [ProxySettings.Proxy?: HTTPClient] = [:]
            var isShutDown = false
        }

        private let state = Locked(State())
        private let certificateAuthority: String?
        private let connectTimeout: Duration

        init(certificateAuthority: String?, connectTimeout: Duration) {
            self.certificateAuthority = certificateAuthority
            self.connectTimeout = connectTimeout
        }

        deinit {
            // A client that goes without this ends the process.
            for client in state.withLock({ $0.clients.values }) { client.shutdown { _ in } }
        }

        /// Closes all connections.
        func shutdown() async {
            let clients = state.withLock { state in
                defer { state.clients = [:] }
                state.isShutDown = true
                return Array(state.clients.values)
            }
            for client in clients { try? await client.shutdown() }
        }

        /// Sends a request and returns the answer, whatever its status.
        func answer(
            to request: TargetRequest,
            through proxy: ProxySettings.Proxy?
        ) async throws(HTTPProblem) -> HTTPAnswer {
            guard let client = client(for: proxy) else { throw HTTPProblem(description: "the client was shut down") }
            let end = ContinuousClock.now + request.timeout
            let result = await withTaskGroup(of: Result<HTTPClientResponse, HTTPProblem>?.self) { group in
                group.addTask { await Self.response(to: request, client) }
                group.addTask {
                    try? await Task.sleep(until: end, clock: .continuous)
                    return nil
                }
                let first = await group.next() ?? nil
                group.cancelAll()
                return first
            }
            guard let result else {
                throw Task.isCancelled
                    ? HTTPProblem(description: "it was cancelled") : .noAnswer(within: request.timeout)
            }
            let response = try result.get()
            let status = HTTPResponseStatus(statusCode: Int(response.status.code))
            return HTTPAnswer(
                status: Int(status.code),
                phrase: status.reasonPhrase,
                retryAfter: response.headers.first(name: "Retry-After"),
                body: await Self.beginning(of: response.body, until: min(end, .now + Self.bodyTimeout))
            )
        }

        private func client(for proxy: ProxySettings.Proxy?) -> HTTPClient? {
            state.withLock { state in
                if state.isShutDown { return nil }
                if let client = state.clients[proxy] { return client }
                let client = HTTPClient(configuration: configuration(proxy))
                state.clients[proxy] = client
                return client
            }
        }

        private func configuration(_ proxy: ProxySettings.Proxy?) -> HTTPClient.Configuration {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.minimumTLSVersion = .tlsv12
            if let certificateAuthority { tls.additionalTrustRoots = [.file(certificateAuthority)] }
            var configuration = HTTPClient.Configuration(
                tlsConfiguration: tls,
                redirectConfiguration: .disallow,
                timeout: .init(connect: connectTimeout.timeAmount)
            )
            configuration.httpVersion = .http1Only
            configuration.connectionPool.idleTimeout = .seconds(30)
            configuration.connectionPool.retryConnectionEstablishment = false
            // A trace would have the address's path in it.
            configuration.tracing.tracer = nil
            if let proxy {
                configuration.proxy = .server(
                    host: proxy.host,
                    port: proxy.port,
                    authorization: proxy.login.map { .basic(credentials: $0.text) }
                )
            }
            return configuration
        }

        private static func response(
            to request: TargetRequest,
            _ client: HTTPClient
        ) async -> Result<HTTPClientResponse, HTTPProblem> {
            var outgoing = HTTPClientRequest(url: request.url)
            outgoing.method = .POST
            outgoing.headers.add(name: "Content-Type", value: request.contentType)
            outgoing.headers.add(name: "User-Agent", value: "mesh-events")
            for (name, value) in request.headers { outgoing.headers.add(name: name, value: value) }
            outgoing.body = .bytes(ByteBuffer(bytes: request.body))
            do {
                return .success(try await client.execute(outgoing, deadline: .now() + request.timeout.timeAmount))
            } catch let error as HTTPClientError where error == .deadlineExceeded {
                return .failure(.noAnswer(within: request.timeout))
            } catch {
                return .failure(HTTPProblem(description: describe(error)))
            }
        }

        /// The beginning of a body, as far as it comes in time; what does not come is no failure, as the status is known.
        private static func beginning(
            of body: HTTPClientResponse.Body,
            until end: ContinuousClock.Instant
        ) async -> [UInt8] {
            let bytes = Locked<[UInt8]>([])
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    do {
                        for try await chunk in body {
                            let isFull = bytes.withLock { bytes in
                                bytes += chunk.readableBytesView.prefix(longestBody - bytes.count)
                                return bytes.count >= longestBody
                            }
                            if isFull { break }
                        }
                    } catch {}
                }
                group.addTask { try? await Task.sleep(until: end, clock: .continuous) }
                await group.next()
                group.cancelAll()
            }
            return bytes.withLock { $0 }
        }

        private static func describe(_ error: any Error) -> String {
            switch error {
            case let error as HTTPClientError: describe(error)
            case is CancellationError: "it was cancelled"
            case let error as NIOSSLError: describe(error)
            case let error as NIOConnectionError: describe(error)
            case let error as IOError: "\(error)"
            case is ChannelError: "the connection was closed"
            default: "\(error)"
            }
        }

        private static func describe(_ error: HTTPClientError) -> String {
            switch error {
            case .connectTimeout: "no connection in time"
            case .tlsHandshakeTimeout: "no TLS handshake in time"
            case .httpProxyHandshakeTimeout: "the proxy did not answer in time"
            case .proxyAuthenticationRequired: "the proxy asks for a login; check the proxy's variable"
            case .invalidProxyResponse: "the proxy refused to connect"
            case .remoteConnectionClosed: "it closed the connection before it answered"
            case .cancelled: "it was cancelled"
            default: error.shortDescription
            }
        }

        private static func describe(_ error: NIOSSLError) -> String {
            let text = "\(error)"
            return text.contains("CERTIFICATE_VERIFY_FAILED")
                ? "its certificate is not trusted; it must be signed by an authority that this machine knows (a bare Debian "
                    + "knows none before `apt-get install ca-certificates`)"
                : "TLS failed: \(text)"
        }

        private static func describe(_ error: NIOConnectionError) -> String {
            if let problem = error.dnsAError ?? error.dnsAAAAError, error.connectionErrors.isEmpty {
                return "its name was not found (\(problem))"
            }
            return error.connectionErrors.last.map { "\($0.error)" } ?? "no connection"
        }
    }

    extension HTTPProblem {
        fileprivate static let cancelled = HTTPProblem(description: "it was cancelled")

        fileprivate static func noAnswer(within timeout: Duration) -> HTTPProblem {
            HTTPProblem(description: "there was no answer within \(timeout)")
        }
    }

    extension Duration {
        /// For NIO; a time beyond its range becomes the longest.
        fileprivate var timeAmount: TimeAmount {
            let (seconds, attoseconds) = components
            return .nanoseconds(min(seconds, 1_000_000_000) * 1_000_000_000 + attoseconds / 1_000_000_000)
        }
    }
#else
    /// This build has no HTTP client.
    final class HTTPExchange: Sendable {
        init(certificateAuthority: String?, connectTimeout: Duration) {}

        func shutdown() async {}

        func answer(
            to request: TargetRequest,
            through proxy: ProxySettings.Proxy?
        ) async throws(HTTPProblem) -> HTTPAnswer {
            throw HTTPProblem(description: "this program was built without TLS (the trait TLS), and so without HTTP")
        }
    }
#endif
