package import KubeAPI

/// What Fargate provides for one pod. Upstream: EKS User Guide, "Understand Fargate Pod configuration details".
package struct FargateCapacity: Sendable, Equatable {
    package var milliCPU: Int
    package var memoryMiB: Int

    package init(milliCPU: Int, memoryMiB: Int) {
        self.milliCPU = milliCPU
        self.memoryMiB = memoryMiB
    }

    /// What the kubelet, the service proxy and containerd are reckoned with, beside the pod's own request.
    package static let componentsMiB = 256

    /// The memory that can be had with each number of vCPUs, the least and the most of both first.
    private static let table: [(milliCPU: Int, memoryMiB: [Int])] = [
        (250, [512, 1_024, 2_048]), (500, Array(stride(from: 1_024, through: 4_096, by: 1_024))),
        (1_000, Array(stride(from: 2_048, through: 8_192, by: 1_024))), (2_000, Array(stride(from: 4_096, through: 16_384, by: 1_024))),
        (4_000, Array(stride(from: 8_192, through: 30_720, by: 1_024))), (8_000, Array(stride(from: 16_384, through: 61_440, by: 4_096))),
        (16_000, Array(stride(from: 32_768, through: 122_880, by: 8_192))),
    ]

    /// The smallest that holds what the pod requests and the components; nil when none does.
    package init?(for pod: Object) {
        let requests = PodResources.requests(pod)
        let milliCPU = requests["cpu"]?.milliValue ?? 0
        let (memory, isOver) = (requests["memory"]?.value ?? 0).addingReportingOverflow(Int64(Self.componentsMiB) << 20)
        guard !isOver else { return nil }
        for row in Self.table where Int64(row.milliCPU) >= milliCPU {
            guard let fitting = row.memoryMiB.first(where: { Int64($0) << 20 >= memory }) else { continue }
            self.init(milliCPU: row.milliCPU, memoryMiB: fitting)
            return
        }
        return nil
    }

    /// As the annotation CapacityProvisioned has it: `0.25vCPU 0.5GB`.
    package var description: String { "\(Self.short(milliCPU, of: 1_000))vCPU \(Self.short(memoryMiB, of: 1_024))GB" }

    private static func short(_ value: Int, of unit: Int) -> String {
        value % unit == 0 ? "\(value / unit)" : "\(Double(value) / Double(unit))"
    }
}
