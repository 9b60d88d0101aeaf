public import Foundation

/// Where the package's built executables lie during a test run.
public enum BuildProducts {
    /// The directory of the test bundle, which is that of the executables too.
    public static var directory: URL {
        #if os(macOS)
            for bundle in Bundle.allBundles where bundle.bundlePath.hasSuffix(".xctest") {
                return bundle.bundleURL.deletingLastPathComponent()
            }
        #endif
        return Bundle.main.bundleURL
    }

    /// The path of a built executable.
    ///
    /// - Throws: `TestSupportError` when it is not there.
    public static func executable(_ name: String) throws -> String {
        let path = directory.appendingPathComponent(name).path
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw TestSupportError("There is no \(path): the test target has to depend on \(name).")
        }
        return path
    }
}
