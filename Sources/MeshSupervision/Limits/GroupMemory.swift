import MeshConcurrency

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif
#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Measures the resident memory of process groups. All tools share what it reads from `/proc`.
final class GroupMemory: Sendable {
    private struct Member {
        let parent: Int32
        let group: Int32
        let bytes: Int
    }

    private struct Reading {
        var members: [Int32: Member] = [:]
        var time: ContinuousClock.Instant?
    }

    /// How long a reading counts.
    private static let lifetime: Duration = .milliseconds(500)

    private let reading = Locked(Reading())

    /// The resident bytes of a group and of its members' descendants, in other groups too; `nil` when they are not known.
    /// The leader, which is the tool's guard, does not count.
    func residentBytes(ofGroup group: Int32) -> Int? {
        let members = reading.withLock { reading in
            if let time = reading.time, .now - time < Self.lifetime { return reading.members }
            reading = Reading(members: Self.read(), time: .now)
            return reading.members
        }
        guard !members.isEmpty else { return nil }
        var children: [Int32: [Int32]] = [:]
        for (pid, member) in members { children[member.parent, default: []].append(pid) }
        var (found, open): (Set<Int32>, [Int32]) = ([], members.filter { $0.value.group == group }.map(\.key))
        while let pid = open.popLast() {
            if found.insert(pid).inserted { open += children[pid] ?? [] }
        }
        return found.subtracting([group]).reduce(0) { $0 + (members[$1]?.bytes ?? 0) }
    }

    private static func read() -> [Int32: Member] {
        #if os(Linux)
            var members: [Int32: Member] = [:]
            for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
                guard let pid = Int32(name), let member = member(pid) else { continue }
                members[pid] = member
            }
            return members
        #else
            return [:]
        #endif
    }

    #if os(Linux)
        private static let pageSize = sysconf(Int32(_SC_PAGESIZE))

        private static func member(_ pid: Int32) -> Member? {
            // The name of the program, in parentheses, may hold any character: the numbers follow the last one.
            guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return nil }
            let stat = String(decoding: data, as: UTF8.self)
            guard let end = stat.lastIndex(of: ")") else { return nil }
            let fields = stat[end...].split(separator: " ")
            // State, parent and group are the fields 3 to 5 of proc(5); the resident pages are field 24.
            guard fields.count > 22, let parent = Int32(fields[2]), let group = Int32(fields[3]),
                let pages = Int(fields[22])
            else { return nil }
            return Member(parent: parent, group: group, bytes: max(0, pages) * pageSize)
        }
    #endif
}
