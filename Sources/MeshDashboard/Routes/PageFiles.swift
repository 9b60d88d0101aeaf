import Crypto
import HTTPTypes
import Hummingbird
import NIOCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The files of the page, which are built into the program.
struct PageFiles: Sendable {
    /// One file.
    struct File: Sendable {
        /// Its bytes, which all answers share.
        let bytes: ByteBuffer
        /// The bytes in gzip; `nil` when that is no shorter.
        let compressed: ByteBuffer?
        let mediaType: String
        /// What the entity tags begin with; it changes when the file does.
        private let digest: String

        init(_ bytes: [UInt8], _ mediaType: String) {
            self.bytes = ByteBuffer(bytes: bytes)
            compressed = Gzip.compressed(self.bytes, .most)
            self.mediaType = mediaType
            digest = SHA256.hash(data: bytes).prefix(12).map { String($0, radix: 36) }.joined(separator: "-")
        }

        /// The entity tag. A tag names certain bytes (RFC 9110, section 8.8.3), so that compressed ones have their own.
        func tag(isCompressed: Bool) -> String { "\"\(digest)\(isCompressed ? "-gzip" : "")\"" }
    }

    private static let builtIn: [String: File] = {
        let script = "text/javascript; charset=utf-8"
        return [
            "index.html": File(PackageResources.index_html, "text/html; charset=utf-8"),
            "page.css": File(PackageResources.page_css, "text/css; charset=utf-8"),
            "icon.svg": File(PackageResources.icon_svg, "image/svg+xml"),
            "main.js": File(PackageResources.main_js, script),
            "address.js": File(PackageResources.address_js, script),
            "alerts.js": File(PackageResources.alerts_js, script),
            "away.js": File(PackageResources.away_js, script),
            "colors.js": File(PackageResources.colors_js, script),
            "dom.js": File(PackageResources.dom_js, script),
            "session.js": File(PackageResources.session_js, script),
            "times.js": File(PackageResources.times_js, script),
            "export.js": File(PackageResources.export_js, script),
            "filters.js": File(PackageResources.filters_js, script),
            "stream.js": File(PackageResources.stream_js, script),
            "events.js": File(PackageResources.events_js, script),
            "list.js": File(PackageResources.list_js, script),
            "logs.js": File(PackageResources.logs_js, script),
            "control.js": File(PackageResources.control_js, script),
            "detail.js": File(PackageResources.detail_js, script),
            "signatures.js": File(PackageResources.signatures_js, script),
            "summary.js": File(PackageResources.summary_js, script),
            "histogram.js": File(PackageResources.histogram_js, script),
            "bars.js": File(PackageResources.bars_js, script),
            "selection.js": File(PackageResources.selection_js, script),
            "legend.js": File(PackageResources.legend_js, script),
            "nodes.js": File(PackageResources.nodes_js, script),
            "cards.js": File(PackageResources.cards_js, script),
            "tools.js": File(PackageResources.tools_js, script),
            "usage.js": File(PackageResources.usage_js, script),
            "keeper.js": File(PackageResources.keeper_js, script),
            "keys.js": File(PackageResources.keys_js, script),
            "trouble.js": File(PackageResources.trouble_js, script),
            "login.js": File(PackageResources.login_js, script),
            "notify.js": File(PackageResources.notify_js, script),
            "wall.js": File(PackageResources.wall_js, script),
        ]
    }()

    /// A directory to read the files from instead; `nil` for the built-in ones.
    let directory: String?

    /// The file of this name; `nil` when there is none. Only the names of built-in files exist.
    func file(_ name: String) -> File? {
        guard let file = Self.builtIn[name] else { return nil }
        guard let directory, let data = FileManager.default.contents(atPath: directory + "/" + name) else {
            return file
        }
        return File(Array(data), file.mediaType)
    }

    /// The description of the API. It needs no login, so that it is compressed once, like the page's files.
    static let description = File(PackageResources.openapi_json, "application/json; charset=utf-8")

    /// The answer to a request for a file.
    ///
    /// - Throws: `notFound`.
    func response(_ name: String, to request: Request) throws(APIError) -> Response {
        guard let file = file(name) else { throw .notFound }
        return Self.response(file, to: request)
    }

    /// The answer to a request for a file.
    static func response(_ file: File, to request: Request) -> Response {
        let compressed = AcceptedEncoding.takesGzip(request) ? file.compressed : nil
        let tag = file.tag(isCompressed: compressed != nil)
        // The browser asks every time, so that it gets a new version at once; the answer is short when the tag matches.
        var response = Response(
            status: .ok,
            headers: [.eTag: tag, .cacheControl: "no-cache", .vary: "Accept-Encoding"]
        )
        if knows(tag, request) {
            response.status = .notModified
            return response
        }
        response.headers[.contentType] = file.mediaType
        if compressed != nil { response.headers[.contentEncoding] = "gzip" }
        response.body = .parts(of: compressed ?? file.bytes)
        return response
    }

    /// Whether the client has the bytes with this tag, by `If-None-Match` (RFC 9110, section 13.1.2). A proxy may have made
    /// the tag a weak one.
    private static func knows(_ tag: String, _ request: Request) -> Bool {
        request.headers[values: .ifNoneMatch].joined(separator: ",").split(separator: ",").contains { text in
            let known = text.filter { $0 != " " }
            return known == "*" || known == tag || known == "W/" + tag
        }
    }
}
