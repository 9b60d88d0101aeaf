import Crypto
import FileReading
public import MeshEvents

/// What a user of the page may do; each role may do what those before it may.
public enum DashboardRole: String, Sendable, Hashable, CaseIterable, Comparable {
    /// Sees the mesh, its events and its metrics, and exports events.
    case observer
    /// Reads the logs of tools, too, and controls tools where that is on.
    case `operator`
    /// Emits events, too, where that is on.
    case admin

    /// Whether a role may do less than another one.
    public static func < (one: DashboardRole, other: DashboardRole) -> Bool { one.rank < other.rank }

    private var rank: Int {
        switch self {
        case .observer: 0
        case .operator: 1
        case .admin: 2
        }
    }
}

/// A user of the page, who logs in with a token of their own. Only the token's hash is kept.
public struct DashboardUser: Sendable, Hashable {
    /// The name, 1 to 64 ASCII letters, digits, `-`, `_` and `.`. Events about what the user has controlled hold it.
    public let name: String
    /// What the user may do.
    public let role: DashboardRole
    /// The SHA-256 hash of the token, 32 bytes.
    let digest: [UInt8]

    /// The most users of a list.
    static let maximumUsers = 1_000
    private static let maximumName = 64

    /// Creates a user with this token.
    ///
    /// - Throws: `invalidArgument` for a name that is none, and for a token that is short enough to be guessed.
    public init(name: String, role: DashboardRole, token: String) throws(MeshEventsError) {
        try DashboardToken.check(token, of: "user \(name)")
        try self.init(name: name, role: role, digest: DashboardToken.digest(token))
    }

    private init(name: String, role: DashboardRole, digest: [UInt8]) throws(MeshEventsError) {
        guard Self.isName(name) else {
            throw MeshEventsError(
                .invalidArgument,
                "\(String(name.prefix(100)).debugDescription) cannot be a user's name: take 1 to \(Self.maximumName) "
                    + "ASCII letters, digits, '-', '_' and '.'"
            )
        }
        self.name = name
        self.role = role
        self.digest = digest
    }

    /// Reads a list with one user a line: the name, the role, and the SHA-256 hash of the token, in hexadecimal. `#` begins
    /// a comment. `mesh-events auth add --page` writes such a list.
    ///
    ///     # name role sha256-of-the-token
    ///     alice observer 9ac2197d9258257b1ae8463e4214e4cd0a578bc1517f2415928b91be4283fc48
    ///
    /// - Throws: `invalidArgument`; the message names the line, and holds no hash.
    public static func list(_ text: String) throws(MeshEventsError) -> [DashboardUser] {
        var users: [DashboardUser] = []
        // Editors of other systems write a byte order mark, and end lines with CR LF.
        let lines = text.drop { $0 == "\u{FEFF}" }.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (index, line) in lines.enumerated() {
            let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace).map(String.init)
            if words.isEmpty { continue }
            func wrong(_ message: String) -> MeshEventsError {
                MeshEventsError(.invalidArgument, "line \(index + 1): \(message)")
            }
            guard words.count == 3 else {
                throw wrong("write a user's name, the role and the hash of the token, as `alice observer 9ac2…`")
            }
            guard let role = DashboardRole(rawValue: words[1]) else {
                let roles = DashboardRole.allCases.map(\.rawValue).joined(separator: ", ")
                throw wrong("the roles are \(roles), not \(String(words[1].prefix(100)).debugDescription)")
            }
            guard let hash = hash(words[2]) else {
                throw wrong("the hash has 64 hexadecimal digits, as from `printf %s TOKEN | sha256sum`")
            }
            guard users.count < maximumUsers else { throw wrong("there are at most \(maximumUsers) users") }
            let user: DashboardUser
            do throws(MeshEventsError) {
                user = try DashboardUser(name: words[0], role: role, digest: hash)
            } catch {
                throw wrong(error.message)
            }
            if users.contains(where: { $0.name == user.name }) { throw wrong("there is a user \(user.name) already") }
            // Which of the two asks would not be known.
            if let other = users.first(where: { $0.digest == user.digest }) {
                throw wrong("\(user.name) has the token of \(other.name): give each user another one")
            }
            users.append(user)
        }
        return users
    }

    /// Reads a list from a file; see ``list(_:)``.
    ///
    /// - Throws: `invalidArgument`, also for a file that other users may read or write.
    public static func list(file path: String) throws(MeshEventsError) -> [DashboardUser] {
        let text: String
        do throws(SecretFile.Failure) {
            text = try SecretFile("list of the page's users", path).read()
        } catch {
            throw MeshEventsError(.invalidArgument, error.message, underlying: error.underlying)
        }
        do throws(MeshEventsError) {
            return try list(text)
        } catch {
            throw MeshEventsError(.invalidArgument, "the list of the page's users \(path), \(error.message)")
        }
    }

    private static func isName(_ name: String) -> Bool {
        (1...maximumName).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "-_.".utf8.contains(byte)
            }
    }

    private static func hash(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count == 2 * SHA256.byteCount else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            // `UInt8` would accept a sign, too.
            guard digits[index] != UInt8(ascii: "+"), digits[index] != UInt8(ascii: "-"),
                let byte = UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}
