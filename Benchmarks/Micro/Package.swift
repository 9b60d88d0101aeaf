// swift-tools-version: 6.1
import PackageDescription

// A package of its own, so that the comparison with libnats builds without the benchmark framework. No traits of that:
// they need packages for counting allocations, which ../Guard does exactly.

let package = Package(
    name: "mesh-events-micro-benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "mesh-events", path: "../.."),
        .package(name: "mesh-events-benchmarks", path: ".."),
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.0", traits: []),
    ],
    targets: [
        .executableTarget(
            name: "Codec",
            dependencies: [
                .product(name: "Benchmark", package: "benchmark"),
                .product(name: "EventWork", package: "mesh-events-benchmarks"),
                .product(name: "MeshEvents", package: "mesh-events"),
            ],
            path: "Benchmarks/Codec",
            swiftSettings: [
                .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
            ],
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]
        )
    ]
)
