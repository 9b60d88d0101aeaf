import Foundation
import ProcessGuard
import TestSupport
import Testing

@testable import MeshSupervision

@Suite("What /proc says of one process")
struct ProcFileProcessTests {
    /// A line of Linux 6.1, with another name.
    private func stat(_ name: String) -> String {
        "4242 (\(name)) S 4200 4199 4198 34816 4199 4194560 120 3400 1 2 250 50 700 300 20 0 3 0 987654 24260608 1536 "
            + "18446744073709551615 1 1 0 0 0 0 0 4096 1073745152 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
    }

    private func process(_ text: String) -> ProcessSample? {
        ProcFile.process(4_242, stat: Array(text.utf8), pageSize: 4_096)
    }

    @Test("each figure comes from its column, whatever the name holds")
    func stat() throws {
        let expected = ProcessSample(
            pid: 4_242,
            parent: 4_200,
            group: 4_199,
            session: 4_198,
            start: 987_654,
            ticks: 300,
            childTicks: 1_000,
            faults: 3_520,
            childFaults: 3_400,
            threads: 3,
            memory: 1_536 * 4_096
        )
        for name in [
            "sh", "a b", "tmux: server", "(sd-pam)", ") R 1 1 1 1 1 1 1 1", "", "((", "))", "x\ny) Z 9", "é\u{1B}[2J",
        ] {
            #expect(process(stat(name)) == expected, "\(name.debugDescription)")
        }
    }

    @Test("a zombie has one thread; one whose first thread has ended while others go on is none")
    func zombies() throws {
        for state in ["Z", "X"] {
            let dead = stat("a").replacing(") S ", with: ") \(state) ")
            let leader = try #require(process(dead))
            #expect(leader.hasDeadLeader && !leader.isZombie)
            let zombie = try #require(process(dead.replacing(" 20 0 3 0 ", with: " 20 0 1 0 ")))
            #expect(zombie.isZombie && !zombie.hasDeadLeader)
        }
        // A name says nothing.
        let named = try #require(process(stat("x) Z\n")))
        #expect(!named.isZombie && !named.hasDeadLeader)
    }

    @Test("a process's user is the real one, whatever its name holds")
    func user() {
        func user(_ text: String) -> UInt32? { ProcFile.user(status: Array(text.utf8)) }
        #expect(user("Name:\tx\\nUid:\t0\nUmask:\t0022\nUid:\t1000\t0\t0\t0\nGid:\t7\t7\t7\t7\n") == 1_000)
        for bad in ["", "Name:\tx\n", "Name:\tx\nUid:\t12", "Name:\tx\nUid:\t99999999999\t0\n"] {
            #expect(user(bad) == nil, "\(bad.debugDescription)")
        }
    }

    @Test("a text that is cut off anywhere is no process")
    func cut() {
        let whole = stat("a) b")
        let end =
            whole.firstRange(of: "1536 ").map { whole.utf8.distance(from: whole.startIndex, to: $0.upperBound) } ?? 0
        for length in 0..<end { #expect(process(String(whole.utf8.prefix(length)) ?? "") == nil, "\(length) bytes") }
        #expect(process(String(whole.utf8.prefix(end)) ?? "") != nil)
        for bad in ["", "4242", "4242 (a", "4242 (a)", "4242 (a) S x", "4242 a S 1 2 3 4 5 6 7"] {
            #expect(process(bad) == nil)
        }
    }

    @Test("numbers that are negative or too large do no harm")
    func numbers() throws {
        let odd = stat("a").replacing(" 700 300 ", with: " -700 99999999999999999999 ")
        let sample = try #require(process(odd))
        #expect(sample.childTicks == UInt64(Int64.max) && sample.ticks == 300)
    }

    @Test("/proc/PID/io: what storage has seen, not what was asked for")
    func io() {
        let text = """
            rchar: 323934931
            wchar: 323929600
            syscr: 632687
            syscw: 632675
            read_bytes: 4096
            write_bytes: 323932160
            cancelled_write_bytes: 12288

            """
        #expect(ProcFile.io(Array(text.utf8)) == ProcessIO(read: 4_096, written: 323_932_160))
        for bad in [
            "", "rchar: 1\nwrite_bytes: 2\n", "rchar: 1\nread_bytes: x\nwrite_bytes: 2\n",
            "rchar: 1\nread_bytes: 1\nwrite_bytes: 32",
        ] {
            #expect(ProcFile.io(Array(bad.utf8)) == nil, "\(bad)")
        }
    }

    @Test("marks: variables with whole names, and a limit")
    func marks() {
        let digits = String(repeating: "A", count: 32)
        let texts = [
            "MESH_EVENTS_GROUP_\(digits)=1", "PATH=/bin", "X=MESH_EVENTS_GROUP_\(digits)=1", "MESH_EVENTS_GROUP_AB=1",
            "MESH_EVENTS_GROUP_\(digits)B=1", "MESH_EVENTS_GROUP_\(digits)", "",
        ]
        let spoilt = Array("MESH_EVENTS_GROUP_".utf8) + [UInt8](repeating: 0xC3, count: 32) + Array("=1".utf8)
        #expect(ProcFile.marks(environ: spoilt) == [])
        let environment = Array(texts.joined(separator: "\0").utf8)
        #expect(ProcFile.marks(environ: environment) == ["MESH_EVENTS_GROUP_\(digits)"])
        #expect(ProcFile.marks(environ: [UInt8]()) == [])
        let limits = """
            Limit                     Soft Limit           Hard Limit           Units
            Max pending signals       95891                95891                signals
            Max file locks            1152921504606846999  unlimited            locks

            """
        #expect(ProcFile.lockLimit(limits: Array(limits.utf8)) == 1_152_921_504_606_846_999)
        let none = limits.replacing("1152921504606846999", with: "unlimited          ")
        #expect(ProcFile.lockLimit(limits: Array(none.utf8)) == nil)
    }

    #if os(Linux)
        @Test("a directory like /proc with all that is odd in it")
        func directory() throws {
            let directory = try TemporaryDirectory()
            func add(_ pid: String, _ files: [String: String]) throws {
                for (name, text) in files {
                    try #require(mkdirs(directory.path + "/\(pid)"))
                    try directory.file("\(pid)/\(name)", text)
                }
            }
            try add("4242", ["stat": stat("a) (b"), "io": "rchar: 1\nread_bytes: 8192\nwrite_bytes: 0\n"])
            // One that has ended, one whose text is cut off, and names that are no numbers.
            try #require(mkdirs(directory.path + "/4243/fd"))
            try add("4244", ["stat": "4244 (x) S 1"])
            try add("self", ["stat": stat("x")])
            try add("99999999999", ["stat": stat("x")])
            try #require(mkdirs(directory.path + "/4242/fd"))
            for number in 0..<7 { try directory.file("4242/fd/\(number)", "") }
            var source = LinuxProcesses(root: directory.path)
            #expect(source.processes()?.map(\.pid) == [4_242])
            var none = LinuxProcesses(root: directory.path + "/none")
            #expect(none.processes() == nil)
            #expect(source.io(of: 4_242) == .value(ProcessIO(read: 8_192, written: 0)))
            #expect(source.io(of: 4_243) == .gone && source.io(of: 7) == .gone)
            #expect(source.countedFiles(of: 4_242) == .value(7) && source.countedFiles(of: 7) == .gone)
            #expect(source.marks(of: 4_243) == InheritedMarks())
        }

        @Test("the memory and files of a process whose first thread has ended are those of another thread")
        func deadLeader() throws {
            let directory = try TemporaryDirectory()
            let dead = stat("a").replacing(") S ", with: ") Z ").replacing(" 1536 ", with: " 0 ")
            for (thread, text) in [("4242", dead), ("4243", dead), ("4244", stat("a"))] {
                try #require(mkdirs(directory.path + "/4242/task/\(thread)/fd"))
                try directory.file("4242/task/\(thread)/stat", text)
            }
            let variable = GroupMark.variablePrefix + String(repeating: "A", count: GroupMark.digits)
            try directory.file("4242/task/4244/environ", "\(variable)=1\0")
            try directory.file("4242/task/4244/fd/0", "")
            try directory.file("4242/stat", dead)
            // No thread of this one lives.
            try #require(mkdirs(directory.path + "/4300/task/4301"))
            try directory.file("4300/stat", dead)
            try directory.file("4300/task/4301/stat", dead)
            var source = LinuxProcesses(root: directory.path)
            let found = source.processes()
            let samples = try #require(found).sorted { $0.pid < $1.pid }
            #expect(samples.map(\.memory) == [1_536 * 4_096, 0])
            #expect(samples.map(\.isZombie) == [false, true] && samples.map(\.hasDeadLeader) == [true, false])
            #expect(source.countedFiles(of: 4_242) == .value(1))
            #expect(source.marks(of: 4_242).variables == [variable])
        }

        private func mkdirs(_ path: String) -> Bool {
            (try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)) != nil
        }

        @Test("this process's figures, and both ways to count its files")
        func thisProcess() throws {
            var source = LinuxProcesses()
            let own = getpid()
            let sample = try #require(source.processes()?.first { $0.pid == own })
            let use = try ProcessUse()
            #expect(sample.parent == getppid() && sample.session == getsid(0) && sample.start <= source.now)
            #expect(sample.threads > 0 && Double(sample.memory) > Double(use.residentBytes) / 2)
            guard case .value(let quick) = source.files(of: own),
                case .value(let counted) = source.countedFiles(of: own)
            else {
                Issue.record("the files of this process cannot be counted")
                return
            }
            // The directory that is being read is open too; other tests open and close files.
            #expect(abs(quick - counted) < 50 && quick > 2)
            guard case .value = source.io(of: own) else {
                Issue.record("this process's reads and writes cannot be read")
                return
            }
        }
    #endif
}
