// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "HistoryAndReplay",
    platforms: [.macOS(.v15)],
    // In a package of your own: .package(url: "https://github.com/mesh-events/mesh-events", from: "0.2.0")
    dependencies: [.package(name: "mesh-events", path: "../..")],
    targets: [
        .executableTarget(
            name: "HistoryAndReplay",
            dependencies: [
                .product(name: "LocalNATSServer", package: "mesh-events"),
                .product(name: "MeshEvents", package: "mesh-events"),
                .product(name: "MeshEventsNATS", package: "mesh-events"),
            ],
            path: "Sources"
        )
    ]
)
