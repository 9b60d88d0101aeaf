/// One point of a curve: what one event costs at one size of something.
struct ScalingPoint: Encodable {
    /// Which curve, e.g. `payload`.
    let curve: String
    /// Which line of it, e.g. `raw libnats`.
    let line: String
    /// How much of what grows.
    let size: Int
    /// The median, the smallest and the largest of the runs, in nanoseconds an event unless the line says otherwise.
    let value: Double
    let low: Double
    let high: Double

    init(_ curve: String, _ line: String, _ size: Int, _ samples: [Double]) {
        self.curve = curve
        self.line = line
        self.size = size
        value = samples.median
        low = samples.spread.lowerBound
        high = samples.spread.upperBound
    }
}
