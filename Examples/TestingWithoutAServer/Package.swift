// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "TestingWithoutAServer",
    platforms: [.macOS(.v15)],
    // In a package of your own: .package(url: "https://github.com/mesh-events/mesh-events", from: "0.2.0")
    dependencies: [.package(name: "mesh-events", path: "../..")],
    targets: [
        .target(name: "CrashWatch", dependencies: [.product(name: "MeshEvents", package: "mesh-events")]),
        .testTarget(
            name: "CrashWatchTests",
            dependencies: ["CrashWatch", .product(name: "MeshEventsTesting", package: "mesh-events")]
        ),
    ]
)
