/// Checks UTF-8 by the table of well-formed sequences in the Unicode Standard (3.9, table 3-7): no overlong forms, no
/// surrogates, nothing above U+10FFFF.
@usableFromInline
package enum UTF8Validation {
    /// Whether the bytes are UTF-8.
    @usableFromInline
    package static func isValid(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let start = bytes.baseAddress else { return true }
        let end = bytes.count
        var offset = 0

        func isContinuation(_ index: Int, _ range: ClosedRange<UInt8> = 0x80...0xBF) -> Bool {
            index < end && range.contains(start[index])
        }

        while offset < end {
            if end - offset >= 8 {
                let word = UnsafeRawPointer(start + offset).loadUnaligned(as: UInt64.self)
                if word & WordSearch.highBits == 0 {
                    offset += 8
                    continue
                }
            }
            let lead = start[offset]
            switch lead {
            case 0...0x7F:
                offset += 1
            case 0xC2...0xDF:
                guard isContinuation(offset + 1) else { return false }
                offset += 2
            case 0xE0...0xEF:
                let second: ClosedRange<UInt8> = lead == 0xE0 ? 0xA0...0xBF : lead == 0xED ? 0x80...0x9F : 0x80...0xBF
                guard isContinuation(offset + 1, second), isContinuation(offset + 2) else { return false }
                offset += 3
            case 0xF0...0xF4:
                let second: ClosedRange<UInt8> = lead == 0xF0 ? 0x90...0xBF : lead == 0xF4 ? 0x80...0x8F : 0x80...0xBF
                guard isContinuation(offset + 1, second), isContinuation(offset + 2), isContinuation(offset + 3) else {
                    return false
                }
                offset += 4
            default:
                return false
            }
        }
        return true
    }
}
