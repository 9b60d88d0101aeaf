// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "SupervisedTool",
    platforms: [.macOS(.v15)],
    dependencies: [
        // In a package of your own: .package(url: "https://github.com/mesh-events/mesh-events", from: "0.2.0")
        .package(name: "mesh-events", path: "../.."),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    ],
    targets: [
        // The node: keeps the tool running, and says what becomes of it.
        .executableTarget(
            name: "SupervisedTool",
            dependencies: [
                .product(name: "LocalNATSServer", package: "mesh-events"),
                .product(name: "MeshEvents", package: "mesh-events"),
                .product(name: "MeshEventsNATS", package: "mesh-events"),
                .product(name: "MeshSupervision", package: "mesh-events"),
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
        // The tool: a program of its own.
        .executableTarget(
            name: "thermometer",
            dependencies: [
                .product(name: "MeshEvents", package: "mesh-events"),
                .product(name: "MeshToolSDK", package: "mesh-events"),
            ]
        ),
    ]
)
