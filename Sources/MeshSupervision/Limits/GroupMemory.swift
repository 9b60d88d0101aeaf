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
        /// The resident bytes by group.
        var totals: [Int32: Int] = [:]
        var time: ContinuousClock.Instant?
    }

    /// How long a reading counts.
    private static let lifetime: Duration = .milliseconds(500)
    /// How many ancestors of a process are looked at.
    private static let maximumDepth = 128

    private let reading = Locked(Reading())

    /// The resident bytes of a group and of its members' descendants, in other groups too; `nil` when they are not known.
    /// The leader, which is the tool's guard, does not count.
    func residentBytes(ofGroup group: Int32) -> Int? {
        reading.withLock { reading in
            if let time = reading.time, .now - time < Self.lifetime { return reading.totals[group] }
            reading = Reading(totals: Self.totals(Self.read()), time: .now)
            return reading.totals[group]
        }
    }

    /// Each process counts for its own group and for those of its ancestors.
    private static func totals(_ members: [Int32: Member]) -> [Int32: Int] {
        var totals: [Int32: Int] = [:]
        for (pid, member) in members {
            var groups: Set<Int32> = []
            var next: Int32? = pid
            for _ in 0..<maximumDepth {
                guard let ancestor = next.flatMap({ members[$0] }) else { break }
                groups.insert(ancestor.group)
                next = ancestor.parent
            }
            for group in groups where group != pid { totals[group, default: 0] += member.bytes }
        }
        return totals
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
