// swift-tools-version: 6.2
import PackageDescription

// Fuzzes the parsers that input reaches, by libFuzzer. A package of its own, so that the product's builds do not know it; its modules are links to
// the product's sources, because the product's API is `package`. One executable; FUZZ_TARGET names what it feeds. See `make fuzz` and `make fuzz-ci`.

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .unsafeFlags(["-sanitize=fuzzer", "-parse-as-library"]),
]

let package = Package(
    name: "fuzz",
    targets: [
        .target(name: "CSchema", exclude: ["data"]),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .target(name: "RegularExpressions", swiftSettings: settings),
        .target(name: "KubeAPI", dependencies: ["Crypto", "CSchema", "CYAML"], swiftSettings: settings),
        .target(name: "CEL", dependencies: ["KubeAPI", "RegularExpressions"], swiftSettings: settings),
        .target(name: "Crypto", swiftSettings: settings),
        .target(name: "HTTPTransport", swiftSettings: settings),
        .target(name: "AWSProtocol", dependencies: ["HTTPTransport", "Crypto"], exclude: ["Endpoint/AWSEndpoint.swift"], swiftSettings: settings),
        .target(name: "AWSServices", dependencies: ["AWSProtocol"], swiftSettings: settings),
        .executableTarget(
            name: "Fuzz", dependencies: ["KubeAPI", "RegularExpressions", "CEL", "Crypto", "HTTPTransport", "AWSProtocol", "AWSServices"],
            swiftSettings: settings,
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer"])]),
    ]
)
