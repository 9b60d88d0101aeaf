// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that users of the library never fetch or install what only the benchmarks need.

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "mesh-events-benchmarks",
    platforms: [.macOS(.v15)],
    products: [.library(name: "EventWork", targets: ["EventWork"])],
    dependencies: [
        .package(name: "mesh-events", path: ".."),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.5.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.86.0"),
    ],
    targets: [
        // The yardstick: the official C client.
        .systemLibrary(name: "CNATS", pkgConfig: "libnats", providers: [.apt(["libnats-dev"]), .brew(["cnats"])]),
        // The unit of work that every measure shares.
        .target(
            name: "EventWork",
            dependencies: [.product(name: "MeshEvents", package: "mesh-events")],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "mesh-bench",
            dependencies: [
                "CNATS", "EventWork",
                .product(name: "MeshEvents", package: "mesh-events"),
                .product(name: "MeshEventsNATS", package: "mesh-events"),
                .product(name: "MeshEventsSigning", package: "mesh-events"),
                .product(name: "MeshMonitoring", package: "mesh-events"),
                .product(name: "NATSClient", package: "mesh-events"),
                .product(name: "LocalNATSServer", package: "mesh-events"),
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        // What one event costs in instructions and allocations, for Guard/guard.py; needs nothing but the core.
        .executableTarget(
            name: "event-costs",
            dependencies: ["EventWork", .product(name: "MeshEvents", package: "mesh-events")],
            swiftSettings: settings
        ),
    ]
)
