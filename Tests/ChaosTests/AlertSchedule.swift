import TestSupport

/// What is done to those who watch the alerts of a mesh, their server and the receiver that they tell, drawn from a seed.
struct AlertSchedule: Sendable {
    /// What is done to a process that watches the alerts.
    enum WatcherFault: String, Sendable, CaseIterable {
        /// Killed, and started again at the end.
        case killed
        /// Suspended.
        case stopped
        /// Asked to end, and started again at the end: no failure.
        case ended
        /// Killed when the receiver gets the next request, and started again at the end.
        case killedTelling = "killed at the next request"
    }

    /// What the receiver does with each request for a time.
    enum ReceiverFault: String, Sendable, CaseIterable {
        /// It does not listen, and its connections are closed.
        case refuses
        /// It does not answer.
        case hangs
        /// It resets the connection in the head of its answer.
        case resetsHead = "resets in the head"
        /// It resets the connection in the body of its answer, which is 200.
        case resetsBody = "resets in the body"
        /// It answers 429 and asks for a second.
        case tooMany = "answers 429"
        /// It answers 500.
        case fails = "answers 500"
        /// It answers 200, late.
        case slow
    }

    /// A fault, and when it comes.
    struct Step<Fault: Sendable>: Sendable {
        /// The time without a fault before it.
        var pause: Duration
        var fault: Fault
        /// How long it lasts.
        var duration: Duration
    }

    /// An event that is emitted, and when.
    struct Emission: Sendable {
        enum Kind: Sendable {
            case crashed, started, stopped
            /// How hot it is.
            case heat(Double)
            case beat
        }

        /// The time before it.
        var pause: Duration
        var kind: Kind
        var node: String
        /// The name of the tool, or of the sensor.
        var name: String
    }

    /// For how long there are faults, about.
    private static let length: Duration = .seconds(4.5)

    let seed: UInt64
    /// How many processes watch, and what happens to each.
    private(set) var watchers: [[Step<WatcherFault>]] = []
    /// How long the server is away, each time.
    private(set) var server: [Step<Void>] = []
    private(set) var receiver: [Step<ReceiverFault>] = []
    private(set) var emissions: [Emission] = []

    /// Whether nothing fails.
    var isCalm: Bool { watchers.joined().allSatisfy { $0.fault == .ended } && server.isEmpty && receiver.isEmpty }
    /// How many faults there are.
    var faults: Int { watchers.reduce(0) { $0 + $1.count } + server.count + receiver.count }

    /// Draws a schedule. In one of sixteen nothing happens, and in another one processes are asked to end, no more.
    init(seed: UInt64) {
        self.seed = seed
        var generator = SeededGenerator(seed: seed)
        func seconds(_ range: ClosedRange<Double>) -> Duration {
            .seconds(Double.random(in: range, using: &generator))
        }
        func steps<Fault>(_ pause: ClosedRange<Double>, _ duration: ClosedRange<Double>, _ fault: () -> Fault)
            -> [Step<Fault>]
        {
            var (steps, time) = ([Step<Fault>](), Duration.zero)
            while time < Self.length {
                let step = Step(pause: seconds(pause), fault: fault(), duration: seconds(duration))
                steps.append(step)
                time += step.pause + step.duration
            }
            return steps
        }
        let kinds = seed % 8
        for _ in 0..<Int.random(in: 2...3, using: &generator) {
            let faults: [WatcherFault] = kinds & 1 != 0 ? WatcherFault.allCases : seed % 16 == 8 ? [.ended] : []
            watchers.append(
                faults.isEmpty ? [] : steps(0.1...2.5, 0.1...2) { faults.randomElement(using: &generator) ?? .killed }
            )
        }
        if kinds & 2 != 0 {
            for _ in 0..<Int.random(in: 1...2, using: &generator) {
                server.append(Step(pause: seconds(0.3...2), fault: (), duration: seconds(0.05...1.2)))
            }
        }
        if kinds & 4 != 0 {
            receiver = steps(0.1...1.2, 0.2...1.5) {
                ReceiverFault.allCases.randomElement(using: &generator) ?? .refuses
            }
        }
        var time = Duration.zero
        while time < Self.length {
            let kind: Emission.Kind =
                switch Int.random(in: 0..<12, using: &generator) {
                case 0...3: .crashed
                case 4...5: .started
                case 6: .stopped
                case 7...9: .heat(Double.random(in: 0...1, using: &generator) < 0.75 ? 0.97 : 0.5)
                default: .beat
                }
            // Events come close together at times, and none for a while at others.
            let pause = Int.random(in: 0..<6, using: &generator) == 0 ? seconds(0.3...1) : seconds(0...0.15)
            emissions.append(
                Emission(
                    pause: pause,
                    kind: kind,
                    node: ["alpha", "beta"].randomElement(using: &generator) ?? "alpha",
                    name: ["one", "two", "three"].randomElement(using: &generator) ?? "one"
                )
            )
            time += pause
        }
    }
}
