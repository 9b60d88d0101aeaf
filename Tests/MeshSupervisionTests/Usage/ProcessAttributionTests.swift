import ProcessGuard
import Testing

@testable import MeshSupervision

/// Whose a process is. This process is number 10; programs have guards.
@Suite("Whose a process is")
struct ProcessAttributionTests {
    private static let own = (pid: Int32(10), session: Int32(5), group: Int32(10))

    private func process(
        _ pid: Int32,
        parent: Int32,
        group: Int32,
        session: Int32 = 5,
        start: UInt64 = 100
    ) -> ProcessSample {
        ProcessSample(pid: pid, parent: parent, group: group, session: session, start: start)
    }

    /// The parents that all lists have: the first process, this one, and the guards 20 and 30 of the programs 21 and 31.
    private var base: [ProcessSample] {
        [
            process(1, parent: 0, group: 1, session: 1, start: 1), process(5, parent: 1, group: 5, start: 2),
            process(10, parent: 5, group: 10, start: 50), process(20, parent: 10, group: 20),
            process(21, parent: 10, group: 20, start: 101), process(30, parent: 10, group: 30),
            process(31, parent: 10, group: 30, start: 101),
        ]
    }

    private let programs = [
        ProcessAttribution.Program(key: 2, family: ProcessFamily(pid: 21, group: 20, mark: GroupMark.sample(2))),
        ProcessAttribution.Program(key: 3, family: ProcessFamily(pid: 31, group: 30, mark: GroupMark.sample(3))),
    ]

    /// The programs' keys by process.
    private func assign(
        _ attribution: inout ProcessAttribution,
        _ more: [ProcessSample],
        without: Set<Int32> = [],
        marks: [Int32: InheritedMarks] = [:]
    ) -> [Int32: Int] {
        let samples = more + base.filter { !without.contains($0.pid) }
        let keys = attribution.assign(samples, to: programs, own: Self.own) { marks[$0] ?? InheritedMarks() }
        return Dictionary(
            uniqueKeysWithValues: zip(samples, keys).compactMap { sample, key in key.map { (sample.pid, $0) } }
        )
    }

    @Test("the program, its group and its descendants; not its guard, its supervisor and others")
    func families() {
        var attribution = ProcessAttribution()
        let more = [
            process(40, parent: 21, group: 20, start: 110), process(41, parent: 40, group: 41, session: 41, start: 111),
            process(42, parent: 41, group: 42, session: 42, start: 112), process(43, parent: 1, group: 20, start: 113),
            process(44, parent: 31, group: 44, start: 114), process(45, parent: 10, group: 10, start: 115),
            process(46, parent: 5, group: 46, start: 116), process(47, parent: 20, group: 20, start: 117),
        ]
        // In any order.
        for samples in [more, more.reversed()] {
            #expect(assign(&attribution, samples) == [21: 2, 31: 3, 40: 2, 41: 2, 42: 2, 43: 2, 44: 3])
        }
    }

    @Test("one that was seen stays its program's when it leaves the group and its parents end")
    func remembered() {
        var attribution = ProcessAttribution()
        _ = assign(&attribution, [process(40, parent: 21, group: 20, start: 110)])
        let orphan = process(40, parent: 1, group: 40, session: 40, start: 110)
        #expect(assign(&attribution, [orphan])[40] == 2)
        // Its child, whose parent ended between two lists, is in its session; the child of that has a session of its own.
        let later = [
            orphan, process(50, parent: 1, group: 50, session: 40, start: 120),
            process(51, parent: 50, group: 51, session: 51, start: 121),
        ]
        #expect(assign(&attribution, later) == [21: 2, 31: 3, 40: 2, 50: 2, 51: 2])
        // The leader ends; another one of the session comes.
        let last = [later[1], later[2], process(52, parent: 1, group: 52, session: 40, start: 130)]
        #expect(assign(&attribution, last) == [21: 2, 31: 3, 50: 2, 51: 2, 52: 2])
    }

    @Test("a number that is used again is another process, session and group")
    func reused() {
        var attribution = ProcessAttribution()
        _ = assign(&attribution, [process(40, parent: 21, group: 20, start: 110)])
        _ = assign(&attribution, [process(40, parent: 1, group: 40, session: 40, start: 110)])
        let others = [
            process(40, parent: 1, group: 40, session: 40, start: 500),
            process(41, parent: 40, group: 40, session: 40, start: 501),
        ]
        #expect(assign(&attribution, others) == [21: 2, 31: 3])
        // The program has ended, and another process of this one has its number.
        let other = process(21, parent: 5, group: 21, start: 600)
        #expect(assign(&attribution, [other], without: [21]) == [31: 3])
    }

    @Test("a parent that is younger than its child only has the number of the real one")
    func youngParent() {
        var attribution = ProcessAttribution()
        let child = process(60, parent: 21, group: 60, start: 90)
        #expect(assign(&attribution, [child])[60] == nil)
    }

    @Test("one whose parents all ended between two lists is known by what it inherited")
    func marked() {
        var attribution = ProcessAttribution()
        let more = [
            process(70, parent: 1, group: 70, session: 70, start: 200), process(71, parent: 70, group: 71, start: 201),
            process(72, parent: 1, group: 72, session: 72, start: 202), process(73, parent: 1, group: 73, start: 203),
            process(74, parent: 1, group: 74, start: 60),
        ]
        let marks: [Int32: InheritedMarks] = [
            70: InheritedMarks(limit: GroupMark.sample(2).limit, user: 1_000),
            72: InheritedMarks(variables: ["MESH_EVENTS_GROUP_OTHER", GroupMark.sample(3).variable]),
            73: InheritedMarks(variables: ["MESH_EVENTS_GROUP_OTHER"], limit: 7),
            // Older than the programs: nothing is asked of it.
            74: InheritedMarks(limit: GroupMark.sample(2).limit, user: 1_000),
        ]
        #expect(assign(&attribution, more, marks: marks) == [21: 2, 31: 3, 70: 2, 71: 2, 72: 3])
        // Asked once each: later lists need no marks.
        #expect(assign(&attribution, more) == [21: 2, 31: 3, 70: 2, 71: 2, 72: 3])
    }

    @Test("a limit that a process of another user has copied marks nothing; a variable does")
    func copied() {
        var attribution = ProcessAttribution()
        let more = (70..<74).map { process($0, parent: 1, group: $0, session: $0, start: 200) }
        let mark = GroupMark.sample(2)
        let marks: [Int32: InheritedMarks] = [
            70: InheritedMarks(limit: mark.limit, user: 1_001), 71: InheritedMarks(limit: mark.limit),
            72: InheritedMarks(variables: [mark.variable], limit: mark.limit, user: 1_001),
            // The copied limit of another program hides no variable.
            73: InheritedMarks(variables: [mark.variable], limit: GroupMark.sample(3).limit, user: 0),
        ]
        #expect(assign(&attribution, more, marks: marks) == [21: 2, 31: 3, 72: 2, 73: 2])
    }

    @Test("marks of one process are read once, and of so many at a time")
    func looks() {
        var attribution = ProcessAttribution()
        let many = (0..<2_500).map { process(1_000 + Int32($0), parent: 5, group: 900, start: 300) }
        var asked: [Int] = []
        for _ in 0..<4 {
            var count = 0
            _ = attribution.assign(many + base, to: programs, own: Self.own) { _ in
                count += 1
                return InheritedMarks()
            }
            asked.append(count)
        }
        #expect(asked == [1_000, 1_000, 500, 0])
    }

    @Test("a tool in a group of others does not make them its own")
    func intruder() {
        var attribution = ProcessAttribution()
        // It joined the group of process 46, which is no tool's.
        let more = [process(46, parent: 5, group: 46, start: 60), process(40, parent: 21, group: 46, start: 110)]
        for _ in 0..<2 { #expect(assign(&attribution, more) == [21: 2, 31: 3, 40: 2]) }
        let other = process(48, parent: 5, group: 46, start: 120)
        #expect(assign(&attribution, more + [other]) == [21: 2, 31: 3, 40: 2])
    }

    @Test("parents in a circle, as a list that took long may show them, end")
    func circle() {
        var attribution = ProcessAttribution()
        let more = [process(80, parent: 81, group: 80), process(81, parent: 80, group: 81)]
        #expect(assign(&attribution, more) == [21: 2, 31: 3])
    }

    @Test("a program without a guard is found by its number, as long as it is the same process")
    func plain() {
        var attribution = ProcessAttribution()
        let program = [ProcessAttribution.Program(key: 1, family: ProcessFamily(pid: 90))]
        func keys(_ start: UInt64) -> [Int?] {
            attribution.assign(
                [
                    process(90, parent: 5, group: 90, start: start),
                    process(91, parent: 90, group: 91, start: start + 1),
                ],
                to: program,
                own: Self.own,
                marks: { _ in InheritedMarks() }
            )
        }
        #expect(keys(100) == [1, 1] && keys(100) == [1, 1] && keys(700) == [nil, nil])
    }
}

extension GroupMark {
    /// A mark with a number.
    fileprivate static func sample(_ number: Int) -> GroupMark {
        GroupMark(
            variable: variablePrefix + String(repeating: "0", count: digits - 1) + "\(number)",
            limit: 1 << 60 | UInt64(number),
            user: 1_000
        )
    }
}
