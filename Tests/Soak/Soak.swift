// A node, its tools and a steady stream of events, for as long as one likes: whatever piles up or gets lost shows.
import Foundation

/// `SOAK_SECONDS=600 SOAK_RATE=10000 mesh-soak`, or with `SOAK_FLOODS=1` a node whose tools flood it; prints a line for each
/// sample and fails on growth or loss.
@main struct Soak {
    static func main() async throws {
        let environment = ProcessInfo.processInfo.environment
        func number(_ name: String, _ fallback: Int, _ range: ClosedRange<Int>) -> Int {
            guard let text = environment[name] else { return fallback }
            guard let number = Int(text), range.contains(number) else {
                fail("\(name) must be a number from \(range.lowerBound) to \(range.upperBound), not '\(text)'", 64)
            }
            return number
        }
        let seconds = number("SOAK_SECONDS", 600, 20...1_000_000)
        let problems =
            if environment["SOAK_FLOODS"] != nil {
                try await FloodRun(seconds: seconds).run()
            } else {
                try await SoakRun(seconds: seconds, rate: number("SOAK_RATE", 10_000, 100...100_000)).run()
            }
        guard problems.isEmpty else { fail("soak: FAILED\n- " + problems.joined(separator: "\n- "), 1) }
        say("soak: nothing lost, nothing grows")
    }
}

/// Prints a line at once.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

/// Numbers in columns of these widths, to the right.
func row(_ numbers: [Int], _ widths: [Int]) -> String {
    zip(numbers, widths).map { number, width in
        let text = String(number)
        return String(repeating: " ", count: max(0, width - text.count)) + text
    }.joined()
}

private func fail(_ message: String, _ code: Int32) -> Never {
    FileHandle.standardError.write(Data((message + "\n").utf8))
    exit(code)
}
