import Foundation
import MeshEvents
import Testing

@testable import MeshSupervision

@Suite("What a machine uses and has")
struct NodeResourcesTests {
    @Test("/proc/stat: guest time is in user time already, waiting for disks is idle")
    func cpuTimes() {
        let text = """
            cpu  10 2 3 400 50 6 7 8 9 1
            cpu0 5 1 1 200 25 3 3 4 4 1
            intr 1234
            """
        #expect(ProcFile.cpuTimes(stat: text) == CPUTimes(busy: 36, idle: 450))
        #expect(ProcFile.cpuTimes(stat: "cpu  1 2 3 4") == CPUTimes(busy: 6, idle: 4))
        for bad in ["", "cpu", "cpu 1 2 3", "cpu 1 2 x 4", "cpu0 1 2 3 4", "intr 1\ncpu 1 2 3 4", "cpu -1 2 3 4"] {
            #expect(ProcFile.cpuTimes(stat: bad) == nil, "\(bad)")
        }
    }

    @Test func cpuUse() {
        let before = CPUTimes(busy: 100, idle: 100)
        #expect(CPUTimes(busy: 150, idle: 150).use(since: before) == 0.5)
        #expect(CPUTimes(busy: 100, idle: 200).use(since: before) == 0)
        #expect(before.use(since: before) == nil)
        #expect(CPUTimes(busy: 90, idle: 200).use(since: before) == nil)
        #expect(CPUTimes(busy: .max, idle: .max).use(since: CPUTimes(busy: 0, idle: 0)) == nil)
    }

    @Test func load() {
        #expect(ProcFile.load(loadavg: "0.52 1.20 3.00 2/345 6789\n") == [0.52, 1.2, 3])
        for bad in ["", "0.5 1.2", "a b c", "nan 1 2 3/4 5"] { #expect(ProcFile.load(loadavg: bad) == nil, "\(bad)") }
    }

    @Test func memory() {
        let text = "MemTotal:       16384000 kB\nMemFree: 1024 kB\nMemAvailable:    8192000 kB\nHugePages_Total: 0\n"
        #expect(ProcFile.memory(meminfo: text) == MemoryFigures(usedMB: 8000, totalMB: 16000))
        let old = "MemTotal: 4096 kB\nMemFree: 1024 kB\nBuffers: 512 kB\nCached: 512 kB"
        #expect(ProcFile.memory(meminfo: old) == MemoryFigures(usedMB: 2, totalMB: 4))
        for bad in ["", "MemTotal: 1024 kB", "MemTotal: x kB\nMemAvailable: 1 kB", "MemAvailable: 1 kB"] {
            #expect(ProcFile.memory(meminfo: bad) == nil, "\(bad)")
        }
    }

    @Test("on this machine every figure is there and sane")
    func thisMachine() throws {
        let sampler = NodeHealthSampler(storePath: "/no/such/directory/yet")
        #expect(sampler.sample().cpu == nil)
        // Work until ticks have passed.
        let deadline = ContinuousClock.now + .seconds(10)
        var cpu: Double?
        while cpu == nil, .now < deadline {
            let start = ContinuousClock.now
            while .now - start < .milliseconds(30) {}
            cpu = sampler.sample().cpu
        }
        #expect((0...1).contains(try #require(cpu)))
        #expect(try #require(cpu) > 0)
        let resources = sampler.sample()
        let load = try #require(resources.load)
        #expect(load.count == 3 && load.allSatisfy { $0 >= 0 })
        let total = try #require(resources.memoryTotalMB)
        #expect(total > 0 && abs(total - Int(ProcessInfo.processInfo.physicalMemory >> 20)) < 1024)
        #expect((1...total).contains(try #require(resources.memoryUsedMB)))
        let root = try FileManager.default.attributesOfFileSystem(forPath: "/")[.systemSize] as? Int
        #expect((0...(try #require(root) >> 20)).contains(try #require(resources.diskFreeMB)))
    }

    @Test func unknownFiguresAreLeftOut() {
        #expect(NodeResources().members.isEmpty)
        let members = NodeResources(cpu: 0.123456, load: [1, 2.345, 3], diskFreeMB: 7).members
        #expect(members.keys.sorted() == ["cpu", "disk_free_mb", "load"])
        #expect(members["cpu"]?.description == "0.123")
        #expect(members["load"]?.description == "[1,2.35,3]" || members["load"]?.description == "[1,2.34,3]")
    }
}

@Suite("What a node tells of itself")
struct NodeCapabilitiesTests {
    @Test func ofThisMachine() {
        let capabilities = NodeCapabilities.current(tools: 3)
        #expect(capabilities["tools"]?.int == 3)
        #expect((capabilities["cpus"]?.int ?? 0) > 0)
    }
}
