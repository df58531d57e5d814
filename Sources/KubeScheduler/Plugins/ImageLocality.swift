/// Prefers nodes that hold the pod's images already, by size and by how common an image is. Upstream: plugins/imagelocality.
struct ImageLocality: ScorePlugin {
    let name = "ImageLocality"

    private static let megabyte: Int64 = 1024 * 1024
    /// Below this, what is there is not worth a preference. Upstream: minThreshold.
    private static let minThreshold = 23 * megabyte
    /// An image is not worth more than this. Upstream: maxContainerThreshold.
    private static let maxContainerThreshold = 1000 * megabyte

    private struct Scorer: NodeScorer {
        /// Images with the part of all nodes that hold each.
        var images: [(name: String, spread: Double)]
        var containerCount: Int

        func score(_ node: NodeInfo) -> Int64 {
            var sum: Int64 = 0
            for (name, spread) in images {
                guard let size = node.images[name] else { continue }
                sum += Int64(Double(min(size, Resource.limit)) * spread)
            }
            let most = ImageLocality.maxContainerThreshold * Int64(max(1, containerCount))
            let clamped = min(most, max(ImageLocality.minThreshold, sum))
            return maxNodeScore * (clamped - ImageLocality.minThreshold) / (most - ImageLocality.minThreshold)
        }
    }

    func prepareScore(_ input: CycleInput, _ places: [Int], _ cache: inout SchedulerCache) -> (any NodeScorer)? {
        let all = Double(max(1, cache.nodeCount))
        let images = input.pod.images.map(Self.normalized).compactMap { name -> (name: String, spread: Double)? in
            cache.imageNodes[name].map { (name, Double($0) / all) }
        }
        return images.isEmpty ? nil : Scorer(images: images, containerCount: input.pod.containerCount)
    }

    /// An image without a tag means `latest`. Upstream: normalizedImageName.
    static func normalized(_ image: String) -> String {
        let last = image.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        return last.contains(":") ? image : image + ":latest"
    }
}
