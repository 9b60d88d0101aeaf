// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "MeshService",
    platforms: [.macOS(.v15)],
    dependencies: [
        // In a package of your own: .package(url: "https://github.com/mesh-events/mesh-events", from: "0.2.0")
        .package(name: "mesh-events", path: "../.."),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    ],
    targets: [
        .executableTarget(
            name: "MeshService",
            dependencies: [
                .product(name: "LocalNATSServer", package: "mesh-events"),
                .product(name: "MeshEvents", package: "mesh-events"),
                .product(name: "MeshEventsNATS", package: "mesh-events"),
                .product(name: "MeshSupervision", package: "mesh-events"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Sources"
        )
    ]
)
