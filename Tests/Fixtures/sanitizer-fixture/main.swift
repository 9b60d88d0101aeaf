// Commits an error that a sanitizer has to find, so that silence means something: `race`, `overflow`, `freed`; and does
// what none may complain of: `mutex`. Scripts/sanitize.sh runs it.
import Foundation
import Synchronization

/// A number that several threads add to.
final class Count: @unchecked Sendable {
    var value = 0
}

/// Adds on two threads, with and without a lock. Neither waits for the other, so that without one it is a race however
/// they are scheduled.
func add(_ times: Int, _ body: @escaping @Sendable () -> Void) {
    let ended = DispatchGroup()
    for _ in 0..<2 {
        ended.enter()
        Thread.detachNewThread {
            for _ in 0..<times { body() }
            ended.leave()
        }
    }
    ended.wait()
}

let count = Count()
switch CommandLine.arguments.dropFirst().first {
case "race":
    add(10_000) { count.value += 1 }
case "mutex":
    let mutex = Mutex(())
    add(200_000) { mutex.withLock { _ in count.value += 1 } }
    guard count.value == 400_000 else { fatalError("the mutex let two threads in") }
case "overflow":
    let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 16)
    bytes.initialize(repeating: 1, count: 16)
    // As the codec would, if it read a word beyond its text.
    count.value = Int(truncatingIfNeeded: UnsafeRawPointer(bytes + 12).loadUnaligned(as: UInt64.self))
case "freed":
    let bytes = UnsafeMutablePointer<Int>.allocate(capacity: 4)
    bytes.initialize(repeating: 1, count: 4)
    bytes.deallocate()
    count.value = bytes[2]
default:
    FileHandle.standardError.write(Data("usage: sanitizer-fixture race|mutex|overflow|freed\n".utf8))
    exit(64)
}
print("nothing was found", count.value)
