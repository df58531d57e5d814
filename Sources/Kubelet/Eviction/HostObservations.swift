import ContainerRuntime
import Glibc
import KubeAPI

/// Looks at the node: memory by cgroup, disks by their filesystems. Upstream: makeSignalObservations over the summary.
struct HostObservations: Sendable {
    let configuration: KubeletConfiguration
    let runtime: any ContainerRuntime
    let cgroups: PodCgroups

    /// Never fails: what cannot be told is left out.
    func read() async -> NodeObservations {
        // A runtime that does not answer has no image filesystem to tell of.
        let images = try? await runtime.imageFilesystem().first?.mountpoint
        let (configuration, cgroups) = (configuration, cgroups)
        return (try? await FileWork.run { Self.read(configuration, cgroups, images: images) }) ?? [:]  // The closure does not throw.
    }

    private static func read(_ configuration: KubeletConfiguration, _ cgroups: PodCgroups, images: String?) -> NodeObservations {
        var seen: NodeObservations = [:]
        let capacity = configuration.capacity["memory"]?.value ?? 0
        if let available = HostFigures.availableMemory(
            cgroupMount: configuration.cgroupMount, cgroupRoot: configuration.cgroupRoot, capacity: capacity)
        {
            seen[.memoryAvailable] = bytes(available, of: capacity)
        }
        if configuration.managesCgroups, let limit = configuration.podMemory, let used = cgroups.podsWorkingSet() {
            seen[.allocatableMemoryAvailable] = bytes(max(0, limit &- used), of: limit)
        }
        disk(configuration.rootDirectory, configuration.diskSize, &seen, .nodeFsAvailable, .nodeFsInodesFree)
        if let images { disk(images, configuration.diskSize, &seen, .imageFsAvailable, .imageFsInodesFree) }
        if let processes = HostFigures.processes() {
            seen[.pidAvailable] = SignalObservation(
                available: Quantity(max(0, processes.maximum &- processes.running)), capacity: Quantity(processes.maximum))
        }
        return seen
    }

    private static func bytes(_ available: Int64, of capacity: Int64) -> SignalObservation {
        SignalObservation(available: Quantity(available, .binarySI), capacity: Quantity(capacity, .binarySI))
    }

    /// The node's disk may be a part of the filesystem it is on.
    private static func disk(
        _ path: String, _ size: Int64?, _ seen: inout NodeObservations, _ space: EvictionSignal, _ inodes: EvictionSignal
    ) {
        var figures = statvfs()
        guard statvfs(path, &figures) == 0 else { return }
        let unit = UInt64(figures.f_frsize)
        let whole = min(Int64(clamping: UInt64(figures.f_blocks).multipliedReportingOverflow(by: unit).partialValue), size ?? .max)
        let free = min(Int64(clamping: UInt64(figures.f_bavail).multipliedReportingOverflow(by: unit).partialValue), whole)
        seen[space] = bytes(free, of: whole)
        // Filesystems without a table of inodes report none.
        if figures.f_files > 0 {
            seen[inodes] = SignalObservation(
                available: Quantity(Int64(clamping: figures.f_favail)), capacity: Quantity(Int64(clamping: figures.f_files)))
        }
    }
}

/// What pods use, asked for only when somebody must go or has a limit. Upstream: pkg/kubelet/server/stats.
struct UsageCollector: Sendable {
    let services: PodServices

    /// In the order of `pods`. What cannot be told counts as nothing used.
    func usage(of pods: [Pod]) async -> [PodUsage] {
        var byUID: [String: [RuntimeContainerStats]] = [:]
        do {
            for stats in try await services.runtime.containerStats(ContainerFilter()) {
                byUID[stats.labels[ContainerLabels.podUID] ?? "", default: []].append(stats)
            }
        } catch {
            services.logger.warning("cannot ask the runtime what containers use", metadata: ["error": "\(error)"])
        }
        let (cgroups, volumes, configuration) = (services.cgroups, services.volumes, services.configuration)
        let stats = byUID
        let usages = try? await FileWork.run {
            pods.map { pod in Self.usage(pod, stats[pod.uid] ?? [], cgroups: cgroups, volumes: volumes, configuration: configuration) }
        }
        return usages ?? pods.map { PodUsage(pod: $0) }  // The closure does not throw.
    }

    /// Blocks.
    private static func usage(
        _ pod: Pod, _ stats: [RuntimeContainerStats], cgroups: PodCgroups, volumes: PodVolumes, configuration: KubeletConfiguration
    ) -> PodUsage {
        var usage = PodUsage(pod: pod)
        let logs = SandboxConfiguration(configuration: configuration).logDirectory(pod)
        for one in stats {
            var container = PodUsage.Container(name: one.name, memory: one.workingSetBytes.map { Int64(clamping: $0) })
            container.storage = Int64(clamping: one.writableLayerBytes ?? 0)
            if configuration.managesPodFiles { container.storage &+= DiskUsage.measure("\(logs)/\(one.name)").bytes }
            usage.containers.append(container)
        }
        usage.memory = configuration.managesCgroups ? cgroups.workingSet(pod) : nil
        if usage.memory == nil { usage.memory = usage.containers.reduce(0) { $0 &+ ($1.memory ?? 0) } }
        usage.processes = configuration.managesCgroups ? cgroups.processes(pod) ?? 0 : 0
        guard configuration.managesPodFiles else { return usage }
        for volume in pod.volumes {
            guard let source = volume["emptyDir"], let name = volume["name"].string else { continue }
            let measured = DiskUsage.measure(volumes.emptyDirectory(pod.uid, name))
            // In memory it is memory that is used.
            if (source["medium"].string ?? "").isEmpty || source["sizeLimit"] != nil { usage.volumes[name] = measured.bytes }
            usage.inodes &+= measured.inodes
        }
        return usage
    }
}

/// What a folder holds. Upstream: pkg/volume/util/fs.DiskUsage.
enum DiskUsage {
    /// No folder has more entries than this counted: a pod that made more is judged by these.
    static let limit = 1_000_000

    /// Blocks. Links are not followed, other filesystems not entered, hard links counted once each.
    static func measure(_ path: String) -> (bytes: Int64, inodes: Int64) {
        guard let top = try? FileTree.status(path) else { return (0, 0) }  // Unreadable: nothing is known of it.
        var (bytes, inodes): (Int64, Int64) = (0, 0)
        var linked: Set<UInt64> = []
        var open = [path]
        while let directory = open.popLast(), inodes < limit {
            for name in (try? FileTree.list(directory)) ?? [] {  // Removed meanwhile.
                let child = "\(directory)/\(name)"
                guard let status = try? FileTree.status(child), status.st_dev == top.st_dev else { continue }
                if status.st_mode & S_IFMT == S_IFDIR {
                    open.append(child)
                } else if status.st_nlink > 1, !linked.insert(UInt64(status.st_ino)).inserted {
                    continue
                }
                bytes &+= Int64(status.st_blocks) &* 512
                inodes &+= 1
            }
        }
        return (bytes, inodes)
    }
}
