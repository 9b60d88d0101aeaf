// swift-tools-version: 6.2
import PackageDescription

// A warning is an error in this project's own builds only: in a dependency it would break its users' builds, which suppress
// the warnings of dependencies.
let warnings: [SwiftSetting] =
    Context.environment["MESH_EVENTS_STRICT"] == "1" ? [.treatAllWarnings(as: .error)] : []
let settings: [SwiftSetting] =
    warnings + [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    ]

/// For messages in place, which must not outlive the call that hands them over.
let lifetimes: [SwiftSetting] = settings + [.enableExperimentalFeature("Lifetimes")]

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOTLS", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "NIOWebSocket", package: "swift-nio"),
    .product(name: "NIOFoundationCompat", package: "swift-nio"),
]
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")
let tracing: Target.Dependency = .product(name: "Tracing", package: "swift-distributed-tracing")

// Connections, buses and monitors are services of a ServiceGroup; without the trait they have no such dependency.
let lifecycle: Target.Dependency = .product(
    name: "ServiceLifecycle",
    package: "swift-service-lifecycle",
    condition: .when(traits: ["ServiceLifecycle"])
)

let tls: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl", condition: .when(traits: ["TLS"]))

let package = Package(
    name: "mesh-events",
    platforms: [.macOS(.v15), .iOS(.v18), .tvOS(.v18), .watchOS(.v11), .visionOS(.v2)],
    products: [
        .library(name: "MeshEvents", targets: ["MeshEvents"]),
        .library(name: "MeshEventsConformance", targets: ["MeshEventsConformance"]),
        .library(name: "MeshEventsInterop", targets: ["MeshEventsInterop"]),
        .library(name: "MeshEventsNATS", targets: ["MeshEventsNATS"]),
        .library(name: "MeshEventsSigning", targets: ["MeshEventsSigning"]),
        .library(name: "MeshEventsTesting", targets: ["MeshEventsTesting"]),
        .library(name: "NATSClient", targets: ["NATSClient"]),
        .library(name: "NKeys", targets: ["NKeys"]),
        .library(name: "LocalNATSServer", targets: ["LocalNATSServer"]),
        .library(name: "MeshMonitoring", targets: ["MeshMonitoring"]),
        .library(name: "MeshAlerts", targets: ["MeshAlerts"]),
        .library(name: "MeshNotifiers", targets: ["MeshNotifiers"]),
        .library(name: "MeshToolSDK", targets: ["MeshToolSDK"]),
        .library(name: "MeshSupervision", targets: ["MeshSupervision"]),
        .library(name: "MeshLifecycle", targets: ["MeshLifecycle"]),
        .library(name: "MeshAuth", targets: ["MeshAuth"]),
        .library(name: "MeshDashboard", targets: ["MeshDashboard"]),
        .library(name: "MeshMetrics", targets: ["MeshMetrics"]),
        .executable(name: "mesh-events", targets: ["mesh-events"]),
    ],
    traits: [
        .default(enabledTraits: ["ServiceLifecycle", "TLS"]),
        .trait(
            name: "ServiceLifecycle",
            description: "Connections, transports, buses and monitors are services of swift-service-lifecycle."
        ),
        .trait(
            name: "TLS",
            description: """
                Connections to servers with TLS, wss://, and targets of alerts over HTTP. Without it BoringSSL's second copy \
                is not built.
                """
        ),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.10.0"),
        .package(url: "https://github.com/apple/swift-crypto", "3.12.3"..<"5.0.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.3.0", traits: []),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.5.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.86.0"),
        .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.24.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.30.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0", traits: []),
        .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0", traits: []),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0"),
    ],
    targets: [
        // The keys of log lines; not a product.
        .target(name: "MeshLogging", dependencies: [logging], swiftSettings: settings),
        .target(name: "FileReading", swiftSettings: settings),
        // How many files this process may have open; not a product.
        .target(name: "FileDescriptors", swiftSettings: settings),
        // Subjects and header blocks, for the client and for the bus; not a product.
        .target(name: "MessageGrammar", swiftSettings: settings),
        // Reads and writes JSON text in place; not a product. Its package types are @usableFromInline: without that the
        // compiler inlines none of their members into other modules.
        .target(name: "MeshJSON", swiftSettings: settings),
        // Keys and credentials files in NATS's notation. Users and signatures need them without a network client.
        .target(
            name: "NKeys",
            dependencies: ["MeshLogging", "FileReading", .product(name: "Crypto", package: "swift-crypto")],
            swiftSettings: settings
        ),
        .target(
            name: "NATSClient",
            dependencies: nio + [
                "MeshConcurrency", "MeshJSON", "MeshLogging", "MessageGrammar", "FileReading", "NKeys", lifecycle,
                logging,
                tls,
                .product(name: "NIOSOCKS", package: "swift-nio-extras"),
            ],
            swiftSettings: lifetimes
        ),
        .target(
            name: "MeshEvents",
            dependencies: [
                "MeshConcurrency", "MeshJSON", "MeshLogging", "MessageGrammar", lifecycle, logging, metrics, tracing,
            ],
            swiftSettings: lifetimes
        ),
        // Locks, and states that tasks can wait for; not a product.
        // Of NIO it takes only the lock.
        .target(
            name: "MeshConcurrency",
            dependencies: [.product(name: "NIOConcurrencyHelpers", package: "swift-nio")],
            swiftSettings: settings
        ),
        .target(
            name: "MeshEventsNATS",
            dependencies: [
                "FileReading", "MeshConcurrency", "MeshEvents", "MessageGrammar", "NATSClient", lifecycle, logging,
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "MeshEventsTesting",
            dependencies: ["MeshConcurrency", "MeshEvents", "MessageGrammar"],
            swiftSettings: settings
        ),
        // For authors of transports and stores; tests of an application need MeshEventsTesting only.
        .target(
            name: "MeshEventsConformance",
            dependencies: ["MeshConcurrency", "MeshEvents"],
            swiftSettings: settings
        ),
        // Formats of other systems: CloudEvents and AsyncAPI. It needs only what the core offers to any program.
        .target(name: "MeshEventsInterop", dependencies: ["MeshEvents", metrics, tracing], swiftSettings: settings),
        // Ed25519 signatures, apart from the core so that this has no cryptography in it.
        .target(
            name: "MeshEventsSigning",
            dependencies: ["MeshEvents", "NKeys", "FileReading"],
            swiftSettings: settings
        ),
        // Fork and exec with limits and another user, in C: between the two only async-signal-safe calls may be made.
        .target(name: "ProcessLaunch"),
        // A child process that cannot outlive this one; not a product.
        .target(
            name: "ProcessGuard",
            dependencies: [
                "FileDescriptors", "MeshConcurrency", "ProcessLaunch",
                .product(name: "Subprocess", package: "swift-subprocess"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "LocalNATSServer",
            dependencies: ["ProcessGuard"],
            swiftSettings: settings
        ),
        // What is known of a mesh. It reads events, so it needs neither NATS nor processes.
        .target(
            name: "MeshMonitoring",
            dependencies: ["MeshConcurrency", "MeshEvents", "MeshLogging", lifecycle, logging],
            swiftSettings: settings
        ),
        // When a person is told. It reads events, and has no HTTP client in it.
        .target(
            name: "MeshAlerts",
            dependencies: ["MeshConcurrency", "MeshEvents", "MeshLogging", "MeshMonitoring", lifecycle, logging],
            swiftSettings: settings
        ),
        // The targets that alerts are sent to. Its HTTP client needs BoringSSL in any case, so that it comes with TLS.
        .target(
            name: "MeshNotifiers",
            dependencies: [
                "MeshAlerts", "MeshConcurrency", "MeshEvents", "MeshEventsInterop", "MeshLogging", "ProcessGuard",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(
                    name: "AsyncHTTPClient",
                    package: "async-http-client",
                    condition: .when(traits: ["TLS"])
                ),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                tls,
            ],
            swiftSettings: settings
        ),
        // The protocol of sd_notify, between a service and what runs it: systemd and this program, a node and its tools.
        .target(name: "ServiceNotification", dependencies: ["MeshConcurrency"], swiftSettings: settings),
        // What a tool links, apart from what runs tools.
        .target(
            name: "MeshToolSDK",
            dependencies: [
                "MeshConcurrency", "MeshEvents", "MeshEventsNATS", "MeshEventsSigning", "NATSClient",
                "ServiceNotification", logging,
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "MeshSupervision",
            dependencies: [
                "FileDescriptors", "FileReading", "MeshConcurrency", "MeshEvents", "MeshEventsNATS", "MeshLogging",
                "NATSClient", "ProcessGuard", "ServiceNotification",
                logging,
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: settings
        ),
        // The three under one name.
        .target(
            name: "MeshLifecycle",
            dependencies: ["MeshEventsNATS", "MeshMonitoring", "MeshSupervision", "MeshToolSDK"],
            swiftSettings: settings
        ),
        .target(
            name: "MeshAuth",
            dependencies: [
                "FileReading", "MeshEvents", "NKeys",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
            ],
            swiftSettings: settings
        ),
        // The system's zlib, for answers in gzip.
        .systemLibrary(
            name: "CZlib",
            providers: [.apt(["zlib1g-dev"]), .yum(["zlib-devel"]), .brew(["zlib"])]
        ),
        // A program's metrics for Prometheus: a factory for swift-metrics and the text formats. No HTTP.
        .target(
            name: "MeshMetrics",
            dependencies: ["MeshConcurrency", "MeshEvents", "MeshLogging", metrics],
            swiftSettings: settings
        ),
        .target(
            name: "MeshDashboard",
            dependencies: [
                "CZlib", "FileDescriptors", "FileReading", "MeshAlerts", "MeshConcurrency", "MeshEvents", "MeshJSON",
                "MeshLogging", "MeshMetrics", "MeshMonitoring", logging, tls,
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            // In the code, not in a bundle: an installed program is one file.
            resources: [.embedInCode("Page"), .embedInCode("API/openapi.json")],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "mesh-events",
            dependencies: [
                "MeshConcurrency", "MeshEvents", "MeshEventsInterop", "MeshEventsNATS", "MeshEventsSigning",
                "MeshAlerts", "MeshMonitoring", "MeshNotifiers", "MeshSupervision", "ProcessGuard", "FileDescriptors",
                "MeshAuth", "MeshDashboard", "MeshMetrics",
                "NATSClient", "LocalNATSServer", "MeshLogging", "FileReading", "ServiceNotification", logging,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: settings
        ),
        // The tool of `make demo` that uses the SDK.
        .executableTarget(
            name: "demo-trainer",
            dependencies: ["MeshEvents", "MeshToolSDK"],
            path: "Examples/Demo/Trainer",
            swiftSettings: settings
        ),
        // What several test targets share; not a product.
        .target(
            name: "TestSupport",
            dependencies: [
                "LocalNATSServer", "MeshConcurrency", "MeshEvents", "MeshEventsTesting", "NATSClient", "ProcessGuard",
                logging, tls,
            ] + nio,
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
        // A tool, for tests to run.
        .executableTarget(
            name: "mesh-tool-fixture",
            dependencies: ["MeshEvents", "MeshToolSDK", logging],
            path: "Tests/Fixtures/mesh-tool-fixture",
            swiftSettings: settings
        ),
        // A wall clock that can be stepped, for the programs that link it.
        .target(name: "SteppedClock", path: "Tests/SteppedClock"),
        // A process whose machine fails it.
        .executableTarget(
            name: "chaos-fixture",
            dependencies: ["MeshEvents", "MeshEventsNATS", "NATSClient", "SteppedClock", logging],
            path: "Tests/Fixtures/chaos-fixture",
            swiftSettings: settings
        ),
        // A supervisor of tools, for tests to kill.
        .executableTarget(
            name: "tool-supervisor-fixture",
            dependencies: ["MeshSupervision", "MeshEvents", logging],
            path: "Tests/Fixtures/tool-supervisor-fixture",
            swiftSettings: settings
        ),
        // Shows the thread sanitizer how a Mutex changes hands; empty without it.
        .target(name: "SanitizedMutex", path: "Tests/SanitizedMutex"),
        // Commits the errors that sanitizers are there to find.
        .executableTarget(
            name: "sanitizer-fixture",
            dependencies: ["SanitizedMutex"],
            path: "Tests/Fixtures/sanitizer-fixture",
            swiftSettings: settings
        ),
        .testTarget(name: "NKeysTests", dependencies: ["NKeys"], swiftSettings: settings),
        .testTarget(
            name: "MeshConcurrencyTests",
            dependencies: ["MeshConcurrency"],
            swiftSettings: settings
        ),
        .testTarget(name: "MeshJSONTests", dependencies: ["MeshJSON", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "NATSClientTests",
            dependencies: [
                "MessageGrammar", "NATSClient", "NKeys", "TestSupport",
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOSOCKS", package: "swift-nio-extras"),
            ] + nio,
            swiftSettings: settings
        ),
        .testTarget(
            name: "MeshEventsNATSTests",
            dependencies: ["MeshEvents", "MeshEventsNATS", "NATSClient", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "ProcessGuardTests",
            dependencies: ["ProcessGuard", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MeshEventsTests",
            dependencies: [
                "MeshConcurrency", "MeshEvents", "MeshEventsConformance", "MeshEventsInterop", "MeshEventsSigning",
                "MeshEventsTesting", "MeshLogging", "NATSClient", logging, metrics, tracing,
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
            ],
            resources: [.copy("Resources")],
            swiftSettings: settings
        ),
        .testTarget(
            name: "RaceTests",
            dependencies: [
                "MeshEvents", "MeshEventsNATS", "NATSClient", "LocalNATSServer", "TestSupport", "SanitizedMutex",
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "ChaosTests",
            dependencies: [
                "MeshEvents", "MeshEventsNATS", "MeshMonitoring", "NATSClient", "LocalNATSServer", "TestSupport",
                "chaos-fixture", "mesh-events",
            ] + nio,
            swiftSettings: settings
        ),
        // A node under load for as long as one likes: `make soak`.
        .executableTarget(
            name: "mesh-soak",
            dependencies: [
                "MeshEvents", "MeshEventsNATS", "MeshLifecycle", "NATSClient", "LocalNATSServer", "TestSupport",
            ],
            path: "Tests/Soak",
            swiftSettings: settings
        ),
        .testTarget(
            name: "MeshMonitoringTests",
            dependencies: [
                "MeshConcurrency", "MeshMonitoring", "MeshEvents", "MeshEventsNATS", "MeshEventsSigning",
                "MeshEventsTesting", "NATSClient",
                "LocalNATSServer", "TestSupport", logging,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MeshNotifiersTests",
            dependencies: [
                "MeshAlerts", "MeshConcurrency", "MeshEvents", "MeshEventsInterop", "MeshNotifiers", "ProcessGuard",
                "TestSupport",
            ] + nio,
            swiftSettings: settings
        ),
        .testTarget(
            name: "MeshAlertsTests",
            dependencies: [
                "MeshAlerts", "MeshConcurrency", "MeshEvents", "MeshEventsTesting", "MeshMonitoring", "TestSupport",
                logging,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MeshToolSDKTests",
            dependencies: [
                "MeshToolSDK", "MeshEvents", "MeshEventsNATS", "NATSClient", "LocalNATSServer", "TestSupport",
                "mesh-tool-fixture", logging,
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MeshSupervisionTests",
            dependencies: [
                "FileReading", "MeshConcurrency", "MeshSupervision", "MeshToolSDK", "MeshEvents", "MeshEventsNATS",
                "MeshEventsSigning", "MeshEventsTesting", "NATSClient", "LocalNATSServer", "ProcessGuard",
                "ServiceNotification", "TestSupport", .product(name: "NIOCore", package: "swift-nio"),
                "tool-supervisor-fixture", logging,
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Subprocess", package: "swift-subprocess"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MeshMetricsTests",
            dependencies: ["MeshEvents", "MeshEventsTesting", "MeshMetrics", "TestSupport", metrics],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MeshDashboardTests",
            dependencies: [
                "MeshAlerts", "MeshAuth", "MeshConcurrency", "MeshDashboard", "MeshMetrics", "MeshMonitoring",
                "MeshEvents", "MeshEventsNATS", "MeshEventsTesting",
                "NATSClient", "LocalNATSServer", "TestSupport", logging, metrics, tls,
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ] + nio,
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
            name: "MeshAuthTests",
            dependencies: [
                "MeshAuth", "MeshEvents", "MeshEventsNATS", "MeshMonitoring", "MeshSupervision", "NATSClient", "NKeys",
                "LocalNATSServer", "TestSupport",
                logging, .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "MeshAuth", "MeshConcurrency", "MeshMonitoring", "MeshSupervision",
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                "MeshEvents", "MeshEventsNATS", "MeshEventsConformance", "NATSClient", "NKeys", "LocalNATSServer",
                "TestSupport", logging, metrics, tracing, .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "Crypto", package: "swift-crypto"),
            ] + nio,
            swiftSettings: settings
        ),
        .testTarget(
            name: "CommandLineTests",
            dependencies: [
                "mesh-events", "MeshAlerts", "MeshConcurrency", "MeshEvents", "MeshEventsNATS", "MeshEventsTesting",
                "MeshLogging", "MeshMonitoring", "MeshNotifiers", "MeshSupervision", "MeshAuth",
                "NATSClient", "NKeys", "LocalNATSServer", "ProcessGuard", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Subprocess", package: "swift-subprocess"),
            ],
            swiftSettings: settings
        ),
    ]
)

// Only the core and the tests that run under sanitizers, which have builds of their own: Scripts/sanitize.sh.
if Context.environment["MESH_EVENTS_CORE_ONLY"] == "1" {
    let core: Set = [
        "FileDescriptors", "FileReading", "MeshConcurrency", "MeshJSON", "MeshLogging", "MessageGrammar", "NKeys",
        "NATSClient",
        "MeshEvents", "MeshEventsSigning", "MeshEventsNATS", "MeshEventsTesting", "MeshEventsConformance",
        "MeshEventsInterop",
        "ProcessGuard", "ProcessLaunch", "LocalNATSServer", "TestSupport", "SanitizedMutex", "sanitizer-fixture",
        "MeshConcurrencyTests", "MeshJSONTests", "NKeysTests", "NATSClientTests", "MeshEventsTests",
        "MeshEventsNATSTests", "ProcessGuardTests", "RaceTests",
    ]
    package.targets.removeAll { !core.contains($0.name) }
    package.products.removeAll { !core.contains($0.name) }
}
