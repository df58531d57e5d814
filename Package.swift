// swift-tools-version: 6.2
// swift-format-ignore-file
import PackageDescription

// Eyrie's modules, lowest first. A target may only import targets above it in this list (Tests/TidyTests keeps that).
// EYRIE_ONLY=<TestTarget> narrows the package to one test target and what it needs: a short edit-and-test loop on two cores.
// EYRIE_STRICT=1 makes warnings errors, as CI does.

let nio: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let swiftProtobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")

let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
] + (Context.environment["EYRIE_STRICT"] == "1" ? [.treatAllWarnings(as: .error)] : [])

func module(_ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
    .target(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: swiftSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: swiftSettings)
}

let modules: [Target] = [
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CJemalloc", pkgConfig: "jemalloc", providers: [.apt(["libjemalloc-dev"])]),
    .target(name: "CAllocator"),
    .target(name: "CLinux"),
    .target(name: "CSchema", exclude: ["data"]),
    module("SQLite", ["CSQLite"]),
    module("RecordStore", ["SQLite"]),
    module(
        "HTTPTransport",
        [
            "CZlib", nio, nioPosix, log,
            .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "NIOTLS", package: "swift-nio"),
            .product(name: "NIOFoundationCompat", package: "swift-nio"),
            .product(name: "NIOHTTP2", package: "swift-nio-http2"),
            .product(name: "NIOSSL", package: "swift-nio-ssl"),
        ]),
    module("Certificates", [x509, asn1, crypto]),
    module("RegularExpressions"),
    module("KubeAPI", ["CSchema", "CYAML", crypto]),
    module("CEL", ["KubeAPI", "RegularExpressions"]),
    module("KubeStorage", ["KubeAPI", "SQLite", "CAllocator"]),
    module("KubeClient", ["KubeAPI", "HTTPTransport", log]),
    module(
        "KubeAPIServer",
        ["KubeAPI", "CEL", "RegularExpressions", "KubeStorage", "KubeClient", "HTTPTransport", "Certificates", crypto, log]),
    module("KubeControllers", ["KubeClient", "Certificates", log]),
    module("KubeScheduler", ["KubeClient", "HTTPTransport", log]),
    module("CloudControllers", ["KubeClient", "Certificates", log]),
    module("AutoMode", ["KubeScheduler", "KubeControllers", "KubeClient", log]),
    module("SimulatedNodes", ["KubeClient", log]),
    module("CRIProtocol", [swiftProtobuf]),
    module("ContainerRuntime", ["CRIProtocol", "HTTPTransport", log]),
    module("Processes", ["CLinux"]),
    module("Nftables", ["Processes"]),
    module("VPCCNI", ["Processes", "KubeAPI"]),
    module("ClusterDNS", ["KubeClient", log]),
    module("NetworkPolicies", ["KubeClient", "Nftables", log]),
    module("KubeProxy", ["KubeClient", "HTTPTransport", "Nftables", log]),
    module("Kubelet", ["KubeClient", "ContainerRuntime", "HTTPTransport", "Certificates", "CLinux", "Processes", crypto, log]),
    module("Machines", ["CLinux", "Processes", "Nftables", crypto, log]),
    module("AWSProtocol", ["HTTPTransport", crypto, log]),
    module("NodeIdentity", ["AWSProtocol", "HTTPTransport", "KubeAPI", crypto, log]),
    module("AWSServices", ["AWSProtocol", "Certificates", "RegularExpressions", "RecordStore", "SQLite", crypto]),
    module(
        "ControlPlane",
        [
            "KubeAPIServer", "KubeControllers", "KubeScheduler", "CloudControllers", "AutoMode", "SimulatedNodes", "ClusterDNS", "KubeStorage", "KubeClient",
            "Certificates", "HTTPTransport", "Processes", log,
        ]),
    module(
        "ClusterLifecycle",
        [
            "ControlPlane", "CloudControllers", "AutoMode", "KubeScheduler", "SimulatedNodes", "ClusterDNS", "Machines", "Processes", "AWSServices", "AWSProtocol", "Certificates", "RecordStore",
            "KubeAPI", log,
        ]),
    module("EKSAPI", ["ClusterLifecycle", "AWSServices", "AWSProtocol"]),
    .executableTarget(
        name: "eyrie",
        dependencies: [
            "EKSAPI", "AWSServices", "NodeIdentity", "AWSProtocol", "ClusterLifecycle", "ControlPlane", "Machines", "Kubelet", "NetworkPolicies", "KubeProxy", "ClusterDNS", "VPCCNI", "ContainerRuntime",
            "KubeClient", "KubeAPI", "KubeScheduler", "HTTPTransport", "Certificates", "RecordStore", "CLinux", "CAllocator", "CJemalloc", log,
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
        ],
        swiftSettings: swiftSettings),
]

let testTargets: [Target] = [
    tests("TidyTests", []),
    tests("RecordStoreTests", ["RecordStore"]),
    tests("HTTPTransportTests", ["HTTPTransport", "Certificates"]),
    tests("CertificatesTests", ["Certificates"]),
    tests("RegularExpressionsTests", ["RegularExpressions"]),
    tests("KubeAPITests", ["KubeAPI"]),
    tests("CELTests", ["CEL"]),
    tests("KubeStorageTests", ["KubeStorage"]),
    tests("KubeClientTests", ["KubeClient"]),
    tests("KubeAPIServerTests", ["KubeAPIServer"]),
    tests("KubeControllersTests", ["KubeControllers"]),
    tests("KubeSchedulerTests", ["KubeScheduler"]),
    tests("SimulatedNodesTests", ["SimulatedNodes"]),
    tests("ContainerRuntimeTests", ["ContainerRuntime"]),
    tests("KubeletTests", ["Kubelet", "Processes"]),
    tests("VPCCNITests", ["VPCCNI", "KubeAPI"]),
    tests("ClusterDNSTests", ["ClusterDNS", "KubeAPI", "KubeClient"]),
    tests("NetworkPoliciesTests", ["NetworkPolicies", "Nftables", "KubeAPI"]),
    tests("KubeProxyTests", ["KubeProxy", "Nftables", "Processes", "KubeAPI"]),
    tests("CloudControllersTests", ["CloudControllers", "KubeAPI"]),
    tests("AutoModeTests", ["AutoMode", "KubeAPI", "KubeClient", "KubeScheduler"]),
    tests("MachinesTests", ["Machines", "Processes", "Nftables"]),
    tests("AWSProtocolTests", ["AWSProtocol"]),
    tests("NodeIdentityTests", ["NodeIdentity", "KubeAPI"]),
    tests("AWSServicesTests", ["AWSServices", "HTTPTransport", crypto]),
    tests("ControlPlaneTests", ["ControlPlane", "AutoMode", "CloudControllers", "SimulatedNodes", "KubeClient", "KubeAPI", "HTTPTransport"]),
    tests("ClusterLifecycleTests", ["ClusterLifecycle", "AutoMode", "CloudControllers"]),
    tests("EKSAPITests", ["EKSAPI"]),
]

/// What figures are measured with (`make bench-apiserver`, `make bench-aws`, `make bench-network`, `make bench-scheduler`), each by its name in EYRIE_ONLY; no part of an ordinary build.
let benchmarks: [Target] = [
    .executableTarget(
        name: "apiserver-bench", dependencies: ["KubeAPIServer", "KubeStorage", "KubeAPI", "HTTPTransport", "Certificates", "CAllocator", "CJemalloc"],
        path: "Benchmarks/apiserver-bench", swiftSettings: swiftSettings),
    .executableTarget(
        name: "aws-bench", dependencies: ["AWSServices", "AWSProtocol", "HTTPTransport", log], path: "Benchmarks/aws-bench",
        swiftSettings: swiftSettings),
    .executableTarget(
        name: "network-bench", dependencies: ["KubeProxy", "ClusterDNS", "Nftables", "KubeClient", "KubeAPI", "Processes", "CAllocator", "CJemalloc", log],
        path: "Benchmarks/network-bench", swiftSettings: swiftSettings),
    .executableTarget(
        name: "scheduler-bench",
        dependencies: ["ControlPlane", "SimulatedNodes", "KubeScheduler", "KubeAPIServer", "KubeStorage", "KubeClient", "KubeAPI", "HTTPTransport", "CAllocator", "CJemalloc"],
        path: "Benchmarks/scheduler-bench", swiftSettings: swiftSettings),
].filter { $0.name == Context.environment["EYRIE_ONLY"] }

/// The targets of the package, or with EYRIE_ONLY the named test target and its transitive dependencies.
func selected(from all: [Target]) -> [Target] {
    guard let only = Context.environment["EYRIE_ONLY"], !only.isEmpty else { return all }
    var wanted: Set<String> = [only]
    var pending = [only]
    while let name = pending.popLast() {
        for dependency in all.first(where: { $0.name == name })?.dependencies ?? [] {
            guard case .byNameItem(let next, _) = dependency, wanted.insert(next).inserted else { continue }
            pending.append(next)
        }
    }
    return all.filter { wanted.contains($0.name) }
}

let package = Package(
    name: "eyrie",
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    ],
    targets: selected(from: modules + testTargets + benchmarks)
)
