import MeshConcurrency
import Testing

@Suite("A state that tasks can wait for")
struct AwaitableTests {
    /// Numbers that wait, each for one task, and an end for all.
    private struct Numbers: AwaitableState {
        var numbers: [Int] = []
        var isEnded = false

        mutating func takeAnswer() -> Int?? {
            if !numbers.isEmpty { return numbers.removeFirst() }
            return isEnded ? .some(nil) : nil
        }
    }

    /// Waits until this many tasks wait.
    private func waiting(_ count: Int, for state: Awaitable<Numbers>) async {
        while state.withLock({ $1 }) != count { await Task.yield() }
    }

    @Test("tasks get their answers in the order in which they began to wait")
    func order() async {
        let state = Awaitable(Numbers())
        var tasks: [Task<Int??, Never>] = []
        for count in 1...3 {
            tasks.append(Task { await state.next() })
            await waiting(count, for: state)
        }
        state.withLock { $0.numbers += [1] }
        #expect(state.withLock { $1 } == 3, "without update, all wait on")
        state.update { $0.numbers += [2, 3] }
        for (number, task) in zip(1...3, tasks) { #expect(await task.value == .some(.some(number))) }
    }

    @Test("what is there is taken without waiting, also by a cancelled task")
    func ready() async {
        let state = Awaitable(Numbers(numbers: [7]))
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return (await state.next(), await state.next())
        }
        task.cancel()
        let (first, second) = await task.value
        #expect(first == .some(.some(7)))
        #expect(second == nil)
    }

    @Test("a task that is cancelled leaves the others their places")
    func cancellation() async {
        let state = Awaitable(Numbers())
        let first = Task { await state.next() }
        await waiting(1, for: state)
        let second = Task { await state.next() }
        await waiting(2, for: state)
        first.cancel()
        #expect(await first.value == nil)
        state.update { $0.numbers = [1] }
        #expect(await second.value == .some(.some(1)))
    }

    @Test("the end reaches every task")
    func end() async {
        let state = Awaitable(Numbers())
        let tasks = (0..<4).map { _ in Task { await state.next() } }
        await waiting(4, for: state)
        state.update { $0.isEnded = true }
        for task in tasks { #expect(await task.value == .some(.none)) }
    }

    @Test("a deadline ends the waiting of its task alone")
    func deadline() async {
        let state = Awaitable(Numbers())
        let patient = Task { await state.next() }
        await waiting(1, for: state)
        #expect(await state.next(until: .now + .milliseconds(5)) == nil)
        #expect(await state.next(until: .now - .seconds(1)) == nil)
        #expect(state.withLock { $1 } == 1)
        state.update { $0.numbers = [1, 2] }
        #expect(await patient.value == .some(.some(1)))
        #expect(await state.next(until: .now - .seconds(1)) == .some(.some(2)))
    }

    @Test("of 20 000 numbers none is lost or taken twice while tasks come, go and are cancelled")
    func race() async {
        let state = Awaitable(Numbers())
        let taken = Locked<[Int]>([])
        await withTaskGroup { group in
            for _ in 0..<4 {
                group.addTask {
                    while true {
                        // A task that is cancelled at any moment has either taken a number or left it.
                        let task = Task { await state.next() }
                        let canceller = Task { task.cancel() }
                        let answer = await task.value
                        await canceller.value
                        switch answer {
                        case .some(.some(let number)): taken.withLock { $0.append(number) }
                        case .some(.none): return
                        case nil: continue
                        }
                    }
                }
            }
            group.addTask {
                for number in 0..<20_000 {
                    state.update { $0.numbers.append(number) }
                    if number % 16 == 0 { await Task.yield() }
                }
                state.update { $0.isEnded = true }
            }
        }
        #expect(taken.withLock { $0 }.sorted() == Array(0..<20_000))
    }
}
