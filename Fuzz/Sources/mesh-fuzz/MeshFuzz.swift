import Foundation
import LibFuzzer

/// Attacks one target with what libFuzzer makes up; its options are libFuzzer's.
@main struct MeshFuzz {
    static func main() {
        // A mistake in its name is no finding.
        _ = FuzzTarget.chosen
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        exit(LLVMFuzzerRunDriver(&count, &arguments, fuzzOneInput))
    }
}

/// What libFuzzer calls with each input; it looks for this name.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    FuzzTarget.chosen.run(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}
