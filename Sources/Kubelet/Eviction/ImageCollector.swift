import ContainerRuntime
import Glibc
import KubeAPI
import Logging

/// Removes images that no container uses, the longest unused first, when their disk fills up. Upstream: pkg/kubelet/images.realImageGCManager.
actor ImageCollector {
    /// Upstream: ImageGCPeriod, imageGCHighThresholdPercent, imageGCLowThresholdPercent, imageMinimumGCAge.
    static let period = Duration.seconds(300)
    static let highPercent = 85.0
    static let lowPercent = 80.0
    static let minimumAge = Duration.seconds(120)

    private let runtime: any ContainerRuntime
    /// Images that are never removed: the sandboxes' own.
    private let kept: Set<String>
    private let logger: Logger
    private struct Record {
        var firstSeen: ContinuousClock.Instant
        /// Nil: not while this agent runs.
        var lastUsed: ContinuousClock.Instant?
    }
    private var records: [String: Record] = [:]

    init(runtime: any ContainerRuntime, kept: Set<String>, logger: Logger) {
        self.runtime = runtime
        self.kept = kept
        self.logger = logger
    }

    /// Runs until cancelled.
    func run() async {
        await begin()
        while !Task.isCancelled {
            do { try await Task.sleep(for: Self.period) } catch { return }  // Cancelled.
            await collect()
        }
    }

    /// What is there now is old.
    func begin() async {
        do { _ = try await unused(firstSeen: .now - Self.minimumAge) } catch {
            logger.warning("cannot list images", metadata: ["error": "\(error)"])
        }
    }

    private func collect() async {
        do {
            guard let path = try await runtime.imageFilesystem().first?.mountpoint else { return }
            let disk = try await FileWork.run { HostFigures.disk(path) }
            let unused = try await unused()
            guard let free = disk.blocks, 100 - free >= Self.highPercent else { return }
            try await remove(unused, bytes: Int64(Double(disk.capacity) * (100 - free - Self.lowPercent) / 100))
        } catch {
            logger.warning("cannot collect images", metadata: ["error": "\(error)"])
        }
    }

    /// All that no container uses: for a disk under pressure. Upstream: DeleteUnusedImages.
    func removeUnused() async {
        do { try await remove(try await unused(), bytes: .max) } catch {
            logger.warning("cannot remove unused images", metadata: ["error": "\(error)"])
        }
    }

    /// Images that no container has, the longest unused first. A young one may be about to be used: it is not among them. Upstream: detectImages,
    /// imagesInEvictionOrder.
    private func unused(firstSeen: ContinuousClock.Instant = .now) async throws -> [RuntimeImage] {
        let now = ContinuousClock.now
        let used = Set(try await runtime.containers(ContainerFilter()).map(\.imageRef))
        var noted: [String: Record] = [:]
        var free: [(image: RuntimeImage, record: Record)] = []
        for image in try await runtime.images() {
            let names = [image.id] + image.tags + image.digests
            var record = records[image.id] ?? Record(firstSeen: firstSeen)
            let isUsed = names.contains(where: used.contains)
            if isUsed { record.lastUsed = now }
            noted[image.id] = record
            let isOld = now - record.firstSeen >= Self.minimumAge
            if !isUsed, isOld, !names.contains(where: kept.contains) { free.append((image, record)) }
        }
        records = noted
        return free.sorted { a, b in
            guard let first = a.record.lastUsed else { return b.record.lastUsed != nil || a.record.firstSeen < b.record.firstSeen }
            return b.record.lastUsed.map { first < $0 } ?? false
        }.map(\.image)
    }

    private func remove(_ images: [RuntimeImage], bytes: Int64) async throws {
        var left = bytes
        for image in images where left > 0 {
            logger.info("removing an unused image", metadata: ["image": "\(image.tags.first ?? image.id)", "bytes": "\(image.size)"])
            do { try await runtime.removeImage(image.id) } catch let error as RuntimeError {
                logger.warning("cannot remove an image", metadata: ["image": "\(image.id)", "error": "\(error)"])
                continue
            }
            records[image.id] = nil
            left = left.subtractingReportingOverflow(Int64(clamping: image.size)).partialValue
        }
    }
}
