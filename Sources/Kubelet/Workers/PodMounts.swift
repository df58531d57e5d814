import ContainerRuntime
import KubeAPI

/// Makes a pod's volumes and a container's mounts of them. Upstream: kubelet_pods.go makeMounts, volumemanager.
struct PodMounts: Sendable {
    let services: PodServices
    let pod: Pod

    private func fields(_ ips: [String]) -> FieldReferences {
        FieldReferences(pod: pod, podIPs: ips, hostIPs: [services.configuration.nodeIP], allocatable: services.configuration.allocatable)
    }

    /// Makes all volumes of the pod, or brings them up to date; their paths by name. A volume that fails is told in an event, and thrown.
    func setUpVolumes(ips: [String], credentials: PullCredentials) async throws -> [String: String] {
        var paths: [String: String] = [:]
        var mounted: [MountedVolume] = []
        guard services.configuration.managesPodFiles else {
            for volume in pod.volumes { paths[volume["name"].string ?? ""] = "/" }
            return paths
        }
        let (volumes, uid, now) = (services.volumes, pod.uid, services.now())
        try await FileWork.run { try volumes.makePodDirectories(uid) }
        let payload = VolumePayload(pod: pod, fields: fields(ips), objects: services.objects, tokens: services.tokens)
        for volume in pod.volumes {
            let name = volume["name"].string ?? ""
            do {
                if let source = volume["image"], !source.isNull {
                    paths[name] = try await imageVolume(source, name: name, credentials: credentials)
                    continue
                }
                let claimed = try await ClaimedVolume(volume, pod: pod, objects: services.objects)
                let source = claimed?.volume.root ?? volume
                let claim = claimed?.claim.metadata.name
                if let csi = source["csi"], !csi.isNull {
                    let isReadOnly = volume["persistentVolumeClaim"]["readOnly"].bool ?? false
                    let (path, measure) = try await csiVolume(csi, name: name, claimed, isReadOnly: isReadOnly)
                    paths[name] = path
                    mounted.append(MountedVolume(name: name, path: path, claim: claim, measure: measure))
                    continue
                }
                if let claimed, let path = try await localDisk(claimed) {
                    paths[name] = path
                    let measure: MountedVolume.Measure = claimed.isBlock ? .device : .filesystem
                    mounted.append(MountedVolume(name: name, path: path, claim: claim, measure: measure))
                    continue
                }
                let files = try await payload.files(of: source)
                let pod = pod
                let (path, isMount) = try await FileWork.run {
                    let path = try volumes.setUp(source, pod: pod, files: files, now: now)
                    return (path, try source["local"] != nil && FileTree.isMountPoint(path))
                }
                paths[name] = path
                if let measure = PodVolumes.measure(source, isMount: isMount) {
                    mounted.append(MountedVolume(name: name, path: path, claim: claim, measure: measure))
                }
            } catch is CancellationError {
                throw CancellationError()
            } catch let failure as ImageFailure {
                throw failure
            } catch let failure as CSIFailure {
                if failure.isEvent { services.event(pod, nil, .warning, failure.reason, failure.description) }
                throw failure
            } catch {
                services.event(pod, nil, .warning, "FailedMount", "MountVolume.SetUp failed for volume \"\(name)\" : \(error)")
                throw error
            }
        }
        services.volumeStatistics.set(mounted, of: uid)
        return paths
    }

    /// A local volume that is a disk, mounted or mapped; nil for a folder.
    private func localDisk(_ claimed: ClaimedVolume) async throws -> String? {
        guard let disk = try LocalDisk(claimed) else { return nil }
        let (disks, pod) = (services.volumes.disks, pod)
        let kind = try await FileWork.run { try LocalDisks.kind(of: disk.path) }
        if kind == .folder, !disk.isBlock { return nil }
        guard services.configuration.mountsFilesystems else { throw VolumeError("disks are not implemented for nodes of this kind") }
        let path: String
        let problem: String?
        do { (path, problem) = try await Self.setUp(disk, kind, pod, disks) } catch {
            guard disk.isBlock else { throw error }
            throw CSIFailure(operation: "MapVolume.MapBlockVolume", volume: disk.name, message: "\(error)")
        }
        guard disk.missingBytes != nil, let capacity = claimed.persistent["spec"]["capacity"]["storage"].quantity else { return path }
        if let problem {
            services.event(
                pod, nil, .warning, "VolumeResizeFailed", "NodeExpandVolume.NodeExpandVolume failed for volume \(disk.name.goQuoted) : \(problem)")
            return path
        }
        try await services.growth.finish(namespace: pod.namespace, claim: claimed.claim.metadata.name, capacity: capacity)
        services.event(
            pod, nil, .normal, "FileSystemResizeSuccessful",
            "MountVolume.NodeExpandVolume succeeded for volume \(disk.name.goQuoted) \(services.configuration.nodeName)")
        return path
    }

    /// How often, and how long after one another, a disk that is to grow is looked at while something holds it. A pod that ended a moment ago may: its
    /// mounts go with its containers' namespaces, which the kernel ends in its own time.
    private static let growAttempts = 40
    private static let growPause = Duration.milliseconds(50)

    private static func setUp(
        _ disk: LocalDisk, _ kind: LocalDisks.Kind, _ pod: Pod, _ disks: LocalDisks
    ) async throws -> (path: String, problem: String?) {
        for _ in 0..<growAttempts {
            do { return try await FileWork.run { try disks.setUp(disk, kind, pod: pod, refusesBusy: true) } } catch is DiskInUse {
                try await Task.sleep(for: growPause)
            }
        }
        // Another pod has it, and keeps it.
        return try await FileWork.run { try disks.setUp(disk, kind, pod: pod) }
    }

    /// The devices of one container: its block volumes. Upstream: makeBlockVolumes.
    func devices(of container: ContainerSpec, volumes paths: [String: String]) throws(ContainerConfigError) -> [ContainerDevice] {
        var devices: [ContainerDevice] = []
        for device in container.view["volumeDevices"].elements {
            let name = device["name"].string ?? ""
            guard let path = paths[name] else {
                throw ContainerConfigError("cannot find volume \(name.goQuoted) to pass into container \(container.name.goQuoted)")
            }
            let source = pod.volumes.first { $0["name"].string == name }
            let isReadOnly = source["persistentVolumeClaim"]["readOnly"].bool ?? false
            devices.append(
                ContainerDevice(containerPath: device["devicePath"].string ?? "", hostPath: path, permissions: isReadOnly ? "r" : "mrw"))
        }
        return devices
    }

    private func csiVolume(_ source: JSONView, name: String, _ claimed: ClaimedVolume?, isReadOnly: Bool) async throws -> (
        path: String, measure: MountedVolume.Measure
    ) {
        guard let csi = services.csi else { throw VolumeError("CSI volumes are not implemented for nodes of this kind") }
        let volume =
            try claimed.map { try CSIVolume(persistent: $0.persistent, claim: $0.claim, isReadOnly: isReadOnly) }
            ?? CSIVolume(inline: source, name: name, pod: pod)
        return (try await csi.setUp(volume, pod: pod) { services.event(pod, nil, .normal, $0, $1) }, csi.measure(volume))
    }

    /// The mounts of one container: its volumes, /etc/hosts and the file for its termination message.
    func mounts(
        of container: ContainerSpec, attempt: UInt32, volumes paths: [String: String], ips: [String], environment: Environment
    ) async throws -> [ContainerMount] {
        guard services.configuration.managesPodFiles else { return [] }
        var mounts: [ContainerMount] = []
        var coversHosts = false
        for (index, mount) in container.view["volumeMounts"].elements.enumerated() {
            let name = mount["name"].string ?? ""
            guard let volume = paths[name] else {
                throw ContainerConfigError("cannot find volume \"\(name)\" to mount into container \"\(container.name)\"")
            }
            if mount["readOnly"].bool == true, mount["recursiveReadOnly"].string == "Enabled" {
                throw ContainerConfigError(
                    "failed to resolve recursive read-only mode: volume \(name.goQuoted) requested recursive read-only mode, "
                        + "but it is not supported by the runtime")
            }
            var hostPath = volume
            var subPath = mount["subPath"].string ?? ""
            if let expression = mount["subPathExpr"].string, !expression.isEmpty { subPath = Expansion.expand(expression) { environment[$0] } }
            if !subPath.isEmpty {
                let (volumes, pod, path) = (services.volumes, pod, subPath)
                do {
                    hostPath = try await FileWork.run {
                        try volumes.subPath(path, volume: volume, volumeName: name, pod: pod, container: container.name, index: index)
                    }
                } catch {
                    throw ContainerConfigError("failed to prepare subPath for volumeMount \"\(name)\" of container \"\(container.name)\": \(error)")
                }
            }
            var containerPath = mount["mountPath"].string ?? ""
            if !containerPath.hasPrefix("/") { containerPath = "/" + containerPath }
            if containerPath == "/etc/hosts" { coversHosts = true }
            let source = pod.volumes.first { $0["name"].string == name }
            // Volumes made from API objects are the kubelet's to write; a claim may be taken for reading alone.
            let isManaged =
                ["configMap", "secret", "downwardAPI", "projected", "image"].contains { source[$0] != nil }
                || source["persistentVolumeClaim"]["readOnly"].bool ?? source["csi"]["readOnly"].bool ?? false
            let propagation: MountPropagation =
                switch mount["mountPropagation"].string {
                case "HostToContainer": .hostToContainer
                case "Bidirectional": .bidirectional
                default: .private
                }
            mounts.append(
                ContainerMount(
                    containerPath: containerPath, hostPath: hostPath, readOnly: (mount["readOnly"].bool ?? false) || isManaged,
                    propagation: propagation))
        }
        if !coversHosts, pod.hostNetwork || !ips.isEmpty {
            mounts.append(ContainerMount(containerPath: "/etc/hosts", hostPath: try await hostsFile(ips: ips)))
        }
        let messagePath = container.terminationMessagePath
        if !messagePath.isEmpty {
            let directory = "\(services.volumes.podDirectory(pod.uid))/containers/\(container.name)"
            let file = "\(directory)/\(attempt)"
            try await FileWork.run {
                try FileTree.makeDirectories(directory, mode: 0o750)
                try FileTree.removeAll(file)
                // The container's user, whoever it is, must be able to write it.
                try FileTree.write(file, [], mode: 0o666)
            }
            mounts.append(ContainerMount(containerPath: messagePath, hostPath: file))
        }
        return mounts
    }

    private func hostsFile(ips: [String]) async throws -> String {
        let path = "\(services.volumes.podDirectory(pod.uid))/etc-hosts"
        let (pod, domain) = (pod, services.configuration.clusterDomain)
        try await FileWork.run {
            let nodeHosts = pod.hostNetwork ? String(decoding: try FileTree.read("/etc/hosts"), as: UTF8.self) : ""
            let text = PodFiles.hosts(pod: pod, ips: ips, hostname: pod.hostname, domain: pod.hostDomain(clusterDomain: domain), nodeHosts: nodeHosts)
            try FileTree.write(path, Array(text.utf8))
        }
        return path
    }

    /// The environment of a container, with the event about names left out.
    func environment(of container: ContainerSpec, ips: [String], volumes: [String: String]) async throws -> Environment {
        let made = try await Environment.make(
            pod: pod, container: container, services: services.services.list(), fields: fields(ips), objects: services.objects,
            volumes: services.configuration.managesPodFiles ? volumes : nil)
        for skipped in made.skipped {
            let names = skipped.names.joined(separator: ", ")
            let reason = "were skipped since they are considered invalid environment variable names."
            services.event(
                pod, container, .warning, "InvalidEnvironmentVariableNames", "Keys [\(names)] from the EnvFrom source \(skipped.source) \(reason)")
        }
        return made.environment
    }
}
