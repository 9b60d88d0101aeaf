// swift-tools-version: 6.2
// The parsers under attack, in a package of their own. Sources holds links to the package's own sources, of which only
// what is attacked is compiled, all of it instrumented: no TLS, no event loop, no command line.
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableExperimentalFeature("Lifetimes"),
]

let package = Package(
    name: "mesh-events-fuzz",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.5.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.86.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0"),
    ],
    targets: [
        .target(
            name: "NATSClient",
            dependencies: ["MeshLogging", "MessageGrammar", .product(name: "NIOCore", package: "swift-nio")],
            sources: [
                "NATSError.swift", "Protocol/NATSHeaders.swift", "Protocol/ProtocolParser.swift",
                "Protocol/ServerInfo.swift", "Protocol/SubjectRules.swift",
            ],
            swiftSettings: settings
        ),
        .target(
            name: "MeshConcurrency",
            dependencies: [.product(name: "NIOConcurrencyHelpers", package: "swift-nio")],
            swiftSettings: settings
        ),
        .target(name: "FileDescriptors", swiftSettings: settings),
        .target(name: "FileReading", swiftSettings: settings),
        .target(name: "MessageGrammar", swiftSettings: settings),
        .target(name: "MeshJSON", swiftSettings: settings),
        .target(
            name: "MeshLogging",
            dependencies: [.product(name: "Logging", package: "swift-log")],
            swiftSettings: settings
        ),
        .target(
            name: "MeshEvents",
            dependencies: [
                "MeshConcurrency", "MeshJSON", "MeshLogging", "MessageGrammar",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            exclude: ["MeshEvents.docc"],
            swiftSettings: settings
        ),
        .target(name: "ProcessLaunch"),
        .target(
            name: "ProcessGuard",
            dependencies: [
                "FileDescriptors", "MeshConcurrency", "ProcessLaunch",
                .product(name: "Subprocess", package: "swift-subprocess"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "MeshSupervision",
            dependencies: [
                "FileDescriptors", "FileReading", "MeshConcurrency", "MeshEvents", "MeshLogging", "ProcessGuard",
                .product(name: "Yams", package: "Yams"),
            ],
            sources: [
                "GPU/GPUDevice.swift", "GPU/NvidiaSMI.swift", "GPU/RocmSMI.swift", "Limits/ToolMemoryLimit.swift",
                "Limits/ToolProcessSettings.swift", "Manifest", "Node/NodeResources.swift",
                "Node/ProcFile.swift", "Order/StopSignal.swift", "Order/ToolDependencies.swift",
                "Order/ToolInstances.swift", "Schedules/CronSchedule.swift", "Schedules/ToolSchedule.swift",
                "Usage/ProcFile+Processes.swift", "Usage/ProcessSample.swift",
                "Logs/ToolLogSettings.swift", "Tools/CrashOutput.swift", "Tools/Health/ToolHealth.swift",
                "Tools/KeyWords.swift", "Tools/LineRedactor.swift", "Tools/Redaction.swift",
                "Tools/RestartPolicy.swift",
                "Tools/SecretFinder.swift", "Tools/SecretForms.swift", "Tools/SecretIndex.swift",
                "Tools/ToolError.swift", "Tools/ToolSignal.swift",
                "Tools/ToolSpecification.swift",
            ],
            swiftSettings: settings
        ),
        // The declaration of what comes with -sanitize=fuzzer.
        .target(name: "LibFuzzer"),
        .executableTarget(
            name: "mesh-fuzz",
            dependencies: [
                "LibFuzzer", "MessageGrammar", "NATSClient", "MeshEvents", "MeshJSON", "MeshSupervision",
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
    ]
)
