import Glibc
import KubeAPI
import Synchronization

/// A volume as a pod has it, and how it is measured.
struct MountedVolume: Sendable, Equatable {
    /// How much of a volume is used can be asked in different places. Upstream: the volume.MetricsProvider of each plug-in.
    enum Measure: Sendable, Equatable {
        /// A file system of its own: it knows.
        case filesystem
        /// A folder of a larger file system: its files are counted.
        case folder
        /// A block device: it has a size.
        case device
        /// Its driver is asked. `staging` is where it is staged, for drivers that stage.
        case driver(CSIVolumeRecord, staging: String?)
    }

    /// In the pod.
    var name: String
    var path: String
    /// The claim's name; nil: it has none.
    var claim: String?
    var measure: Measure
}

/// What is used of a volume: bytes and inodes; nil: it cannot be told. Upstream: statsapi.VolumeStats.
struct VolumeFigures: Sendable, Equatable {
    var capacity: Int64?
    var available: Int64?
    var used: Int64?
    var inodes: Int64?
    var inodesFree: Int64?
    var inodesUsed: Int64?

    /// Of the file system that a path is in; nil: there is none.
    init?(filesystem path: String) {
        var figures = statvfs()
        guard statvfs(path, &figures) == 0 else { return nil }
        func bytes(_ blocks: UInt) -> Int64 { Int64(clamping: UInt64(blocks).multipliedReportingOverflow(by: UInt64(figures.f_frsize)).partialValue) }
        (capacity, available) = (bytes(figures.f_blocks), bytes(figures.f_bavail))
        used = max(0, bytes(figures.f_blocks) &- bytes(figures.f_bfree))
        (inodes, inodesFree) = (Int64(clamping: figures.f_files), Int64(clamping: figures.f_ffree))
        inodesUsed = Int64(clamping: figures.f_files.subtractingReportingOverflow(min(figures.f_ffree, figures.f_files)).partialValue)
    }

    /// What a driver answered to NodeGetVolumeStats. Throws `VolumeError` for what is no message. Upstream: csiDriverClient.NodeGetVolumeStats.
    init(driver message: [UInt8]) throws {
        for usage in try ProtobufFields(message).messages(1) {
            let (available, total, used) = (usage.int(1), usage.int(2), usage.int(3))
            switch usage.int(4) {
            case 1: (self.available, capacity, self.used) = (available, total, used)
            case 2: (inodesFree, inodes, inodesUsed) = (available, total, used)
            default: continue
            }
        }
    }

    init(capacity: Int64? = nil) { self.capacity = capacity }

    /// The parts of an entry of `volume` in the summary.
    var members: [(String, Value)] {
        [
            ("availableBytes", available), ("capacityBytes", capacity), ("usedBytes", used), ("inodesFree", inodesFree), ("inodes", inodes),
            ("inodesUsed", inodesUsed),
        ].compactMap { key, number in number.map { (key, .int($0)) } }
    }
}

/// What pods' volumes hold, measured when it is asked for and kept for a while. Upstream: volumeStatCalculator.
final class VolumeStatistics: Sendable {
    /// Upstream: VolumeStatsAggPeriod.
    private static let lifetime = Duration.seconds(60)

    private struct Entry {
        var volumes: [MountedVolume]
        var measured: (at: ContinuousClock.Instant, figures: [VolumeFigures?], time: Timestamp)?
    }

    /// A volume with its figures, and when they were taken.
    struct Usage: Sendable {
        var volume: MountedVolume
        var figures: VolumeFigures
        var time: Timestamp
    }

    private let csi: CSIVolumes?
    private let entries = Mutex<[String: Entry]>([:])

    /// - Parameter csi: asks the drivers; nil: there can be none.
    init(csi: CSIVolumes?) { self.csi = csi }

    /// These are the volumes of a pod.
    func set(_ volumes: [MountedVolume], of uid: String) {
        entries.withLock { entries in
            guard entries[uid]?.volumes != volumes else { return }
            entries[uid] = Entry(volumes: volumes)
        }
    }

    func forget(_ uid: String) { entries.withLock { $0[uid] = nil } }

    /// The volumes of a pod of which something can be told.
    func usage(of uid: String) async -> [Usage] {
        guard let entry = entries.withLock({ $0[uid] }) else { return [] }
        var measured = entry.measured
        if measured.map({ ContinuousClock.now - $0.at >= Self.lifetime }) ?? true {
            var figures: [VolumeFigures?] = []
            for volume in entry.volumes { figures.append(await measure(volume)) }
            let fresh = (at: ContinuousClock.now, figures: figures, time: Timestamp.now)
            measured = fresh
            entries.withLock { entries in
                // Unless it has ended or has other volumes by now.
                if entries[uid]?.volumes == entry.volumes { entries[uid]?.measured = fresh }
            }
        }
        guard let measured else { return [] }
        return zip(entry.volumes, measured.figures).compactMap { volume, figures in
            figures.map { Usage(volume: volume, figures: $0, time: measured.time) }
        }
    }

    /// Nil for what cannot be measured: a driver that does not answer, a volume that goes.
    private func measure(_ volume: MountedVolume) async -> VolumeFigures? {
        if case .driver(let record, let staging) = volume.measure {
            return try? await csi?.figures(record, at: volume.path, staging: staging)
        }
        return try? await FileWork.run {
            switch volume.measure {
            case .folder:
                guard var figures = VolumeFigures(filesystem: volume.path) else { return nil }
                (figures.used, figures.inodesUsed) = DiskUsage.measure(volume.path)
                return figures
            case .device: return try Self.size(ofDevice: volume.path).map { VolumeFigures(capacity: $0) }
            case .filesystem, .driver: return VolumeFigures(filesystem: volume.path)
            }
        }
    }

    /// Bytes of a block device; nil for what is none. Upstream: MetricsBlock.
    private static func size(ofDevice path: String) throws -> Int64? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        try FileTree.check(descriptor, "open", path)
        defer { close(descriptor) }
        let end = lseek(descriptor, 0, SEEK_END)
        return end >= 0 ? Int64(end) : nil
    }
}

/// The figures of claims' volumes as metrics. Upstream: collectors.volumeStatsCollector.
enum VolumeMetrics {
    /// A claim's volume, by the claim.
    struct Claim: Sendable {
        var namespace: String
        var name: String
        var figures: VolumeFigures
    }

    private static let gauges: [(name: String, help: String, value: @Sendable (VolumeFigures) -> Int64?)] = [
        ("capacity_bytes", "Capacity in bytes of the volume", { $0.capacity }),
        ("available_bytes", "Number of available bytes in the volume", { $0.available }),
        ("used_bytes", "Number of used bytes in the volume", { $0.used }),
        ("inodes", "Maximum number of inodes in the volume", { $0.inodes }),
        ("inodes_free", "Number of free inodes in the volume", { $0.inodesFree }),
        ("inodes_used", "Number of used inodes in the volume", { $0.inodesUsed }),
    ]

    /// Prometheus text. A claim that several pods use is told of once.
    static func text(_ claims: [Claim]) -> String {
        var seen: Set<String> = []
        let unique = claims.filter { seen.insert("\($0.namespace)/\($0.name)").inserted }
        var text = ""
        for gauge in gauges {
            let name = "kubelet_volume_stats_\(gauge.name)"
            let lines = unique.compactMap { claim in
                gauge.value(claim.figures).map { "\(name){namespace=\"\(claim.namespace)\",persistentvolumeclaim=\"\(claim.name)\"} \($0)\n" }
            }
            if !lines.isEmpty { text += "# HELP \(name) [ALPHA] \(gauge.help)\n# TYPE \(name) gauge\n" + lines.joined() }
        }
        return text
    }
}
