/// The exact value of a number's JSON text: sign × digits × 10^exponent, with no zero at either end of the digits.
package struct DecimalText: Hashable {
    private var isNegative = false
    private var digits: [UInt8] = []
    private var exponent = 0

    /// Reads a valid JSON number. Any other text, NaN for example, becomes a value that equals only the same text.
    package init(_ text: UnsafeBufferPointer<UInt8>) {
        var fractionDigits = 0
        var sawPoint = false
        for (offset, byte) in text.enumerated() {
            switch byte {
            case UInt8(ascii: "-"): isNegative = true
            case UInt8(ascii: "."): sawPoint = true
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                if sawPoint { fractionDigits += 1 }
                if byte != UInt8(ascii: "0") || !digits.isEmpty { digits.append(byte - UInt8(ascii: "0")) }
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                guard let value = Self.exponent(text[(offset + 1)...]) else {
                    keep(text)
                    return
                }
                exponent = value
                normalize(fractionDigits)
                return
            default:
                keep(text)
                return
            }
        }
        normalize(fractionDigits)
    }

    private mutating func normalize(_ fractionDigits: Int) {
        exponent -= fractionDigits
        while digits.last == 0 {
            digits.removeLast()
            exponent += 1
        }
        if digits.isEmpty {
            isNegative = false
            exponent = 0
        }
    }

    /// Keeps a text that has no value this type can hold: two such values are equal when their texts are.
    private mutating func keep(_ text: UnsafeBufferPointer<UInt8>) {
        digits = Array(text)
        exponent = .min
        isNegative = false
    }

    /// The exponent; `nil` when it is beyond 2^40.
    private static func exponent(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Int? {
        var value = 0
        var isNegative = false
        for byte in text {
            switch byte {
            case UInt8(ascii: "-"): isNegative = true
            case UInt8(ascii: "+"): break
            default:
                value = value * 10 + Int(byte &- UInt8(ascii: "0"))
                if value > 1 << 40 { return nil }
            }
        }
        return isNegative ? -value : value
    }

    /// The value as sign and magnitude, when it is an integer that fits.
    private var integer: (isNegative: Bool, magnitude: UInt64)? {
        guard exponent >= 0, digits.count + exponent <= 20 else { return nil }
        var magnitude: UInt64 = 0
        for index in 0..<digits.count + exponent {
            let (product, overflows) = magnitude.multipliedReportingOverflow(by: 10)
            let digit = index < digits.count ? UInt64(digits[index]) : 0
            let (sum, overflowsToo) = product.addingReportingOverflow(digit)
            if overflows || overflowsToo { return nil }
            magnitude = sum
        }
        return (isNegative, magnitude)
    }
}

extension DecimalText {
    /// The value as an integer; `nil` when it has a fraction or does not fit.
    package static func int64(_ text: UnsafeBufferPointer<UInt8>) -> Int64? {
        if let value = plainInteger(text) { return value }
        guard let (isNegative, magnitude) = DecimalText(text).integer else { return nil }
        if isNegative { return magnitude <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil }
        return Int64(exactly: magnitude)
    }

    /// The value as an integer; `nil` when it has a fraction, is negative or does not fit.
    package static func uint64(_ text: UnsafeBufferPointer<UInt8>) -> UInt64? {
        if let value = plainInteger(text) { return UInt64(exactly: value) }
        guard let (isNegative, magnitude) = DecimalText(text).integer, !isNegative || magnitude == 0 else { return nil }
        return magnitude
    }

    /// Up to 18 digits and a sign.
    @inline(__always)
    private static func plainInteger(_ text: UnsafeBufferPointer<UInt8>) -> Int64? {
        guard text.count <= 18 else { return nil }
        var value: Int64 = 0
        var isNegative = false
        for byte in text {
            let digit = byte &- UInt8(ascii: "0")
            if digit <= 9 {
                value = value &* 10 &+ Int64(digit)
            } else if byte == UInt8(ascii: "-") {
                isNegative = true
            } else {
                return nil
            }
        }
        return isNegative ? 0 &- value : value
    }

    /// The nearest `Double`.
    package static func double(_ text: UnsafeBufferPointer<UInt8>) -> Double {
        // Up to 15 digits and small powers of ten are exact (Clinger's fast path); one division rounds correctly.
        var value: Int64 = 0
        var isNegative = false
        var scale = 1.0
        var sawPoint = false
        guard text.count <= 17 else { return anyDouble(text) }
        var digits = 0
        for byte in text {
            let digit = byte &- UInt8(ascii: "0")
            if digit <= 9 {
                value = value &* 10 &+ Int64(digit)
                digits += 1
                if sawPoint { scale *= 10 }
            } else if byte == UInt8(ascii: ".") {
                sawPoint = true
            } else if byte == UInt8(ascii: "-") {
                isNegative = true
            } else {
                return anyDouble(text)
            }
        }
        guard digits <= 15 else { return anyDouble(text) }
        let magnitude = Double(value) / scale
        return isNegative ? -magnitude : magnitude
    }

    /// Whether the nearest `Double` of a number's text is infinite.
    package static func isBeyondDouble(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        // 10^308 has 309 digits.
        guard text.count > 308 || text.contains(where: { $0 | 0x20 == UInt8(ascii: "e") }) else { return false }
        return double(text).isInfinite
    }

    @inline(never)
    private static func anyDouble(_ text: UnsafeBufferPointer<UInt8>) -> Double {
        Double(String(decoding: text, as: UTF8.self)) ?? .nan
    }
}
