/// The decimal digits of 0 to 99, two at a time.
enum DigitPairs {
    private static var table: StaticString {
        """
        0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
        5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899
        """
    }

    /// Writes the two digits of a value from 0 to 99.
    @inline(__always)
    static func write(_ value: Int, to output: UnsafeMutablePointer<UInt8>) {
        let digits = UnsafeRawPointer(table.utf8Start + value &* 2).loadUnaligned(as: UInt16.self)
        UnsafeMutableRawPointer(output).storeBytes(of: digits, as: UInt16.self)
    }
}
