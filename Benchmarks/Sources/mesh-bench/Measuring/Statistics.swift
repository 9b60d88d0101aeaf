extension [Double] {
    /// The middle value; the mean of the two middle ones when there is an even number. 0 when there is none.
    var median: Double {
        let ordered = sorted()
        guard let last = ordered.last else { return 0 }
        let middle = ordered.count / 2
        guard middle > 0 else { return last }
        return ordered.count % 2 == 1 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2
    }

    /// The value that `part` (0 to 1) of the values do not exceed.
    func percentile(_ part: Double) -> Double {
        let ordered = sorted()
        guard !ordered.isEmpty else { return 0 }
        let index = Int((Double(ordered.count) * part).rounded(.up)) - 1
        return ordered[Swift.min(Swift.max(index, 0), ordered.count - 1)]
    }

    var spread: ClosedRange<Double> {
        guard let low = self.min(), let high = self.max() else { return 0...0 }
        return low...high
    }
}

extension Double {
    /// With this many decimals.
    func text(_ decimals: Int) -> String {
        var scale = 1.0
        for _ in 0..<decimals { scale *= 10 }
        let scaled = Int((magnitude * scale).rounded())
        let sign = self < 0 && scaled > 0 ? "-" : ""
        guard decimals > 0 else { return "\(sign)\(scaled)" }
        let (whole, fraction) = scaled.quotientAndRemainder(dividingBy: Int(scale))
        let digits = String(fraction)
        return "\(sign)\(whole)." + String(repeating: "0", count: decimals - digits.count) + digits
    }
}
