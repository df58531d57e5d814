import KubeAPI
import KubeClient

/// Tells a claim that the node's part of its volume's growth is done. Upstream: MarkFSResizeFinished.
struct ClaimGrowth: Sendable {
    let client: KubeClient

    /// What the claim's status becomes.
    static func finished(_ capacity: Quantity) -> Value {
        let conditions: [Value] = ["Resizing", "FileSystemResizePending"].map { ["type": .string($0), "$patch": "delete"] }
        return [
            "status": [
                "capacity": ["storage": .string(capacity.description)], "allocatedResourceStatuses": ["storage": .null],
                "conditions": .array(conditions),
            ]
        ]
    }

    /// Throws `StatusError`.
    func finish(namespace: String, claim: String, capacity: Quantity) async throws {
        try await client.patch(
            .persistentVolumeClaims, namespace: namespace, name: claim, type: .strategicMerge, Self.finished(capacity), subresource: "status")
    }
}
