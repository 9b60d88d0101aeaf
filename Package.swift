// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOTLS", package: "swift-nio"),
    .product(name: "NIOFoundationCompat", package: "swift-nio"),
]
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")

let package = Package(
    name: "mesh-events",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "MeshEvents", targets: ["MeshEvents"]),
        .library(name: "MeshEventsNATS", targets: ["MeshEventsNATS"]),
        .library(name: "MeshEventsTesting", targets: ["MeshEventsTesting"]),
        .library(name: "NATSClient", targets: ["NATSClient"]),
        .library(name: "LocalNATSServer", targets: ["LocalNATSServer"]),
        .executable(name: "mesh-events", targets: ["mesh-events"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-crypto", "3.12.3"..<"5.0.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.86.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.30.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0"),
    ],
    targets: [
        .target(
            name: "NATSClient",
            dependencies: nio + [
                logging,
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: settings
        ),
        .target(name: "MeshEvents", dependencies: [logging], swiftSettings: settings),
        .target(
            name: "MeshEventsNATS",
            dependencies: ["MeshEvents", "NATSClient", logging, .product(name: "NIOCore", package: "swift-nio")],
            swiftSettings: settings
        ),
        .target(name: "MeshEventsTesting", dependencies: ["MeshEvents"], swiftSettings: settings),
        .target(
            name: "LocalNATSServer",
            dependencies: [.product(name: "Subprocess", package: "swift-subprocess")],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "mesh-events",
            dependencies: [
                "MeshEvents", "MeshEventsNATS", "NATSClient", "LocalNATSServer", logging,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings
        ),
        // What several test targets share; not a product.
        .target(
            name: "TestSupport",
            dependencies: ["LocalNATSServer", "NATSClient", logging],
            path: "Tests/TestSupport",
            swiftSettings: settings
        ),
        // A parent of a server, for tests to kill.
        .executableTarget(
            name: "local-nats-server-fixture",
            dependencies: ["LocalNATSServer"],
            path: "Tests/Fixtures/local-nats-server-fixture",
            swiftSettings: settings
        ),
        .testTarget(
            name: "NATSClientTests",
            dependencies: ["NATSClient", "TestSupport", .product(name: "NIOEmbedded", package: "swift-nio")] + nio,
            swiftSettings: settings
        ),
        .testTarget(
            name: "MeshEventsTests",
            dependencies: ["MeshEvents", "MeshEventsTesting"],
            resources: [.copy("Resources")],
            swiftSettings: settings
        ),
        .testTarget(
            name: "LocalNATSServerTests",
            dependencies: [
                "LocalNATSServer", "TestSupport", "local-nats-server-fixture",
                .product(name: "Subprocess", package: "swift-subprocess"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "MeshEvents", "MeshEventsNATS", "MeshEventsTesting", "NATSClient", "LocalNATSServer", "TestSupport",
                logging,
            ] + nio,
            swiftSettings: settings
        ),
        .testTarget(
            name: "CommandLineTests",
            dependencies: [
                "mesh-events", "MeshEvents", "MeshEventsNATS", "NATSClient", "LocalNATSServer", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Subprocess", package: "swift-subprocess"),
            ],
            swiftSettings: settings
        ),
    ]
)
