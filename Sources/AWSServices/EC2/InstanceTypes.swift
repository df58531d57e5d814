/// What an instance type is. Upstream: ec2 InstanceTypeInfo, "Maximum network interfaces".
package struct InstanceTypeFacts: Sendable, Equatable {
    /// `t3.medium`
    package var name: String
    package var vcpus: Int
    package var memoryMiB: Int
    /// `x86_64` or `arm64`.
    package var architecture: String
    package var maxInterfaces: Int
    package var addressesPerInterface: Int
    package var isBurstable: Bool

    package init(
        name: String, vcpus: Int, memoryMiB: Int, architecture: String, maxInterfaces: Int, addressesPerInterface: Int, isBurstable: Bool
    ) {
        self.name = name
        self.vcpus = vcpus
        self.memoryMiB = memoryMiB
        self.architecture = architecture
        self.maxInterfaces = maxInterfaces
        self.addressesPerInterface = addressesPerInterface
        self.isBurstable = isBurstable
    }

    /// The most pods a node of this type takes. Upstream: amazon-eks-ami, eni-max-pods: every interface's own address is no pod's, host-network
    /// pods need none.
    package var maxPods: Int { maxInterfaces * (addressesPerInterface - 1) + 2 }
    /// Addresses for pods: all secondary ones.
    package var podAddresses: Int { maxInterfaces * (addressesPerInterface - 1) }
}

/// The instance types that exist here.
package enum InstanceTypes {
    /// A size of a family: vCPUs, memory in MiB, interfaces, addresses per interface.
    private typealias Size = (name: String, vcpus: Int, memory: Int, interfaces: Int, addresses: Int)

    private static let burstable: [Size] = [
        ("nano", 2, 512, 2, 2), ("micro", 2, 1_024, 2, 2), ("small", 2, 2_048, 3, 4), ("medium", 2, 4_096, 3, 6), ("large", 2, 8_192, 3, 12),
        ("xlarge", 4, 16_384, 4, 15), ("2xlarge", 8, 32_768, 4, 15),
    ]
    private static let t2: [Size] = [
        ("nano", 1, 512, 2, 2), ("micro", 1, 1_024, 2, 2), ("small", 1, 2_048, 3, 4), ("medium", 2, 4_096, 3, 6), ("large", 2, 8_192, 3, 12),
        ("xlarge", 4, 16_384, 3, 15), ("2xlarge", 8, 32_768, 3, 15),
    ]

    /// The sizes of general, compute and memory families since the fifth generation; `memory` in MiB per vCPU.
    private static func regular(_ memory: Int, _ sizes: [(String, Int)]) -> [Size] {
        sizes.map { name, vcpus in
            let (interfaces, addresses) = vcpus <= 1 ? (2, 4) : vcpus <= 2 ? (3, 10) : vcpus <= 8 ? (4, 15) : vcpus <= 48 ? (8, 30) : (15, 50)
            return (name, vcpus, vcpus * memory, interfaces, addresses)
        }
    }

    private static let sizesToTwentyFour = [
        ("large", 2), ("xlarge", 4), ("2xlarge", 8), ("4xlarge", 16), ("8xlarge", 32), ("12xlarge", 48), ("16xlarge", 64), ("24xlarge", 96),
    ]
    private static let sizesToThirtyTwo = sizesToTwentyFour + [("32xlarge", 128)]
    private static let sizesToFortyEight = sizesToTwentyFour + [("48xlarge", 192)]
    private static let gravitonSizes = [("medium", 1)] + sizesToTwentyFour.filter { $0.0 != "24xlarge" }
    private static let c5Sizes = [
        ("large", 2), ("xlarge", 4), ("2xlarge", 8), ("4xlarge", 16), ("9xlarge", 36), ("12xlarge", 48), ("18xlarge", 72), ("24xlarge", 96),
    ]

    private static let families: [(family: String, architecture: String, isBurstable: Bool, sizes: [Size])] = [
        ("t2", "x86_64", true, t2), ("t3", "x86_64", true, burstable), ("t3a", "x86_64", true, burstable), ("t4g", "arm64", true, burstable),
        ("m5", "x86_64", false, regular(4_096, sizesToTwentyFour)), ("m5a", "x86_64", false, regular(4_096, sizesToTwentyFour)),
        ("m6i", "x86_64", false, regular(4_096, sizesToThirtyTwo)), ("m6a", "x86_64", false, regular(4_096, sizesToFortyEight)),
        ("m7i", "x86_64", false, regular(4_096, sizesToFortyEight)), ("m7a", "x86_64", false, regular(4_096, sizesToFortyEight)),
        ("m6g", "arm64", false, regular(4_096, gravitonSizes)), ("m7g", "arm64", false, regular(4_096, gravitonSizes)),
        ("c5", "x86_64", false, regular(2_048, c5Sizes)), ("c5a", "x86_64", false, regular(2_048, sizesToTwentyFour)),
        ("c6i", "x86_64", false, regular(2_048, sizesToThirtyTwo)), ("c6a", "x86_64", false, regular(2_048, sizesToFortyEight)),
        ("c7i", "x86_64", false, regular(2_048, sizesToFortyEight)), ("c6g", "arm64", false, regular(2_048, gravitonSizes)),
        ("c7g", "arm64", false, regular(2_048, gravitonSizes)),
        ("r5", "x86_64", false, regular(8_192, sizesToTwentyFour)), ("r6i", "x86_64", false, regular(8_192, sizesToThirtyTwo)),
        ("r7i", "x86_64", false, regular(8_192, sizesToFortyEight)), ("r6g", "arm64", false, regular(8_192, gravitonSizes)),
        ("r7g", "arm64", false, regular(8_192, gravitonSizes)),
    ]

    /// By name.
    package static let all: [String: InstanceTypeFacts] = {
        var types: [String: InstanceTypeFacts] = [:]
        for family in families {
            for size in family.sizes {
                let name = "\(family.family).\(size.name)"
                // t3a.small is the odd one of its family: two interfaces.
                let interfaces = name == "t3a.small" ? 2 : size.interfaces
                types[name] = InstanceTypeFacts(
                    name: name, vcpus: size.vcpus, memoryMiB: size.memory, architecture: family.architecture, maxInterfaces: interfaces,
                    addressesPerInterface: size.addresses, isBurstable: family.isBurstable)
            }
        }
        return types
    }()
}
