/// What a value counts in.
enum Unit {
    /// Events a second, shown in thousands; more is better.
    case rate
    /// Microseconds; less is better.
    case time
    /// Milliseconds; less is better.
    case milliseconds
    /// Nanoseconds; less is better.
    case nanoseconds
    /// Bytes, shown in millions; less is better.
    case bytes

    func text(_ value: Double) -> String {
        switch self {
        case .rate: "\((value / 1000).text(0))k/s"
        case .time: "\(value.text(1)) us"
        case .milliseconds: "\(value.text(1)) ms"
        case .nanoseconds: "\(value.text(0)) ns"
        case .bytes: "\((value / 1e6).text(1)) MB"
        }
    }
}
