extension JSONWriter {
    /// Writes an integer.
    @inline(__always)
    mutating func integer(_ value: Int64) {
        if value < 0 { write(UInt8(ascii: "-")) }
        unsigned(value.magnitude)
    }

    /// Writes an integer.
    mutating func unsigned(_ value: UInt64) {
        if value < 10 { return write(UInt8(truncatingIfNeeded: value) &+ UInt8(ascii: "0")) }
        let length = Self.digitCount(value)
        if length <= capacity &- count, let base {
            var rest = value
            var position = count &+ length
            while rest >= 100 {
                position &-= 2
                let quotient = rest / 100
                DigitPairs.write(Int(truncatingIfNeeded: rest &- quotient &* 100), to: base + position)
                rest = quotient
            }
            if rest >= 10 {
                DigitPairs.write(Int(truncatingIfNeeded: rest), to: base + (position &- 2))
            } else {
                base[position &- 1] = UInt8(truncatingIfNeeded: rest) &+ UInt8(ascii: "0")
            }
        }
        advance(length)
    }

    @inline(__always)
    private static func digitCount(_ value: UInt64) -> Int {
        var length = 1
        var rest = value
        while rest >= 10_000 {
            rest /= 10_000
            length &+= 4
        }
        return rest < 10 ? length : rest < 100 ? length &+ 1 : rest < 1000 ? length &+ 2 : length &+ 3
    }

    /// Writes a number as Go's encoding/json does: the shortest digits that read back as the same value, an exponent
    /// only below 1e-6 and from 1e21 on, no `.0`.
    mutating func double(_ value: Double) {
        guard value.isFinite else { return report(.notFinite) }
        let magnitude = value.magnitude
        // Most numbers have few decimals. The first scale at which an integer reads back gives the shortest digits.
        if magnitude < 1e15, magnitude >= 1e-3 || magnitude == 0 {
            var scale = 1.0
            for decimals in 0...5 {
                let product = magnitude * scale
                if product >= 1e15 { break }
                let scaled = Double(Int64(product + 0.5))
                if scaled / scale == magnitude {
                    if value.sign == .minus { write(UInt8(ascii: "-")) }
                    return decimal(UInt64(scaled), decimals: decimals, scale: UInt64(scale))
                }
                scale *= 10
            }
        }
        anyDouble(value)
    }

    @inline(__always)
    private mutating func decimal(_ scaled: UInt64, decimals: Int, scale: UInt64) {
        guard decimals > 0 else { return unsigned(scaled) }
        let (whole, fraction) = scaled.quotientAndRemainder(dividingBy: scale)
        unsigned(whole)
        write(UInt8(ascii: "."))
        if decimals <= capacity &- count, let base {
            var rest = fraction
            var position = count &+ decimals
            while position > count {
                position &-= 1
                let quotient = rest / 10
                base[position] = UInt8(truncatingIfNeeded: rest &- quotient &* 10) &+ UInt8(ascii: "0")
                rest = quotient
            }
        }
        advance(decimals)
    }

    /// Writes the standard library's shortest digits (`1.25e-07`, `12.5`) in Go's layout.
    @inline(never)
    private mutating func anyDouble(_ value: Double) {
        // At most 17 digits; `point` is where the decimal point stands relative to the first digit.
        var digits: [UInt8] = []
        digits.reserveCapacity(20)
        var point = 0
        var exponent = 0
        var sawPoint = false
        var text = value.magnitude.description.utf8.makeIterator()
        scan: while let byte = text.next() {
            switch byte {
            case UInt8(ascii: "."): sawPoint = true
            case UInt8(ascii: "e"):
                var negative = false
                while let byte = text.next() {
                    if byte == UInt8(ascii: "-") { negative = true }
                    if byte &- UInt8(ascii: "0") <= 9 { exponent = exponent * 10 + Int(byte - UInt8(ascii: "0")) }
                }
                if negative { exponent = -exponent }
                break scan
            default:
                if !sawPoint { point += 1 }
                if digits.isEmpty, byte == UInt8(ascii: "0") {
                    point -= 1
                    continue
                }
                digits.append(byte)
            }
        }
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        point += exponent
        if value.sign == .minus { write(UInt8(ascii: "-")) }
        lay(digits, point: point, exponential: value.magnitude < 1e-6 || value.magnitude >= 1e21)
    }

    private mutating func lay(_ digits: [UInt8], point: Int, exponential: Bool) {
        let zero = UInt8(ascii: "0")
        guard let first = digits.first else { return write(zero) }
        if exponential {
            write(first)
            if digits.count > 1 { write(UInt8(ascii: ".")) }
            for digit in digits.dropFirst() { write(digit) }
            write(UInt8(ascii: "e"))
            write(point > 0 ? UInt8(ascii: "+") : UInt8(ascii: "-"))
            unsigned(UInt64((point - 1).magnitude))
        } else if point <= 0 {
            write("0.")
            for _ in point..<0 { write(zero) }
            for digit in digits { write(digit) }
        } else {
            for index in 0..<max(point, digits.count) {
                if index == point { write(UInt8(ascii: ".")) }
                write(index < digits.count ? digits[index] : zero)
            }
        }
    }
}

extension JSONWriter {
    /// Writes a time, without quotes.
    @inline(__always)
    mutating func timestamp(_ timestamp: Timestamp) {
        if capacity &- count >= Timestamp.maximumLength, let base {
            advance(timestamp.write(to: base + count))
        } else {
            timestamp.description.withBytes { write($0) }
        }
    }
}
