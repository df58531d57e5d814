package import KubeAPI

/// An instance type as nodes can be of. Upstream: karpenter cloudprovider.InstanceType.
package struct InstanceType: Sendable, Equatable {
    /// `c6a.large`
    package let name: String
    package let vcpus: Int
    package let memoryMiB: Int
    package let maxPods: Int
    /// What pods may use.
    package let allocatable: ResourceList
    /// The labels of its nodes that it decides.
    let labels: [String: String]
    /// Dollars an hour, on demand.
    let price: Double

    /// `architecture` is Kubernetes' name; `reserved` what the node keeps back. Nil for a name that is no type's, and for what Auto Mode does not use.
    package init?(name: String, vcpus: Int, memoryMiB: Int, architecture: String, maxPods: Int, reserved: ResourceList) {
        let parts = name.split(separator: ".").map(String.init)
        guard parts.count == 2, let family = InstanceFamily(parts[0]), vcpus > 1, !Self.tooSmall.contains(parts[1]) else { return nil }
        self.name = name
        self.vcpus = vcpus
        self.memoryMiB = memoryMiB
        self.maxPods = min(maxPods, Self.mostPods)
        var allocatable = InstanceType.capacity(vcpus: vcpus, memoryMiB: memoryMiB, maxPods: self.maxPods)
        for (resource, amount) in reserved { if let whole = allocatable[resource] { allocatable[resource] = whole - amount } }
        self.allocatable = allocatable
        price = family.price(vcpus: vcpus, memoryMiB: memoryMiB)
        labels = [
            Names.instanceType: name, Names.architecture: architecture, Names.operatingSystem: "linux",
            "eks.amazonaws.com/instance-category": family.category, "eks.amazonaws.com/instance-generation": family.generation,
            "eks.amazonaws.com/instance-family": family.name, "eks.amazonaws.com/instance-size": parts[1],
            "eks.amazonaws.com/instance-cpu": String(vcpus), "eks.amazonaws.com/instance-cpu-manufacturer": family.manufacturer,
            "eks.amazonaws.com/instance-memory": String(memoryMiB), "eks.amazonaws.com/instance-hypervisor": family.name == "t2" ? "xen" : "nitro",
            "eks.amazonaws.com/instance-encryption-in-transit-supported": String(family.encryptsInTransit),
        ]
    }

    /// Upstream: EKS User Guide, "EKS Auto Mode supported instance reference".
    private static let tooSmall: Set<String> = ["nano", "micro", "small"]
    /// Upstream: EKS User Guide, "Create a Node Class": the most pods of a node of Auto Mode.
    private static let mostPods = 110

    package var capacity: ResourceList { Self.capacity(vcpus: vcpus, memoryMiB: memoryMiB, maxPods: maxPods) }

    private static func capacity(vcpus: Int, memoryMiB: Int, maxPods: Int) -> ResourceList {
        [
            "cpu": Quantity(Int64(vcpus)), "memory": Quantity(Int64(memoryMiB) * 1_048_576, .binarySI), "pods": Quantity(Int64(maxPods)),
            "ephemeral-storage": Quantity(80 * 1_073_741_824, .binarySI),
        ]
    }
}
