import ContainerRuntime
import KubeAPI

/// `/metrics/cadvisor`: what containers, pods and the node use, with cAdvisor's names and labels. Figures are read when they are asked for: from cgroups,
/// and what the runtime alone knows from it. Upstream: cAdvisor's PrometheusCollector with the kubelet's containerPrometheusLabelsFunc.
struct ContainerMetrics: Sendable {
    /// A cgroup and whose it is.
    struct Group: Sendable {
        /// As its path from the node's own cgroup: `/kubepods/burstable/podUID/ID`.
        var id: String
        var container = ""
        var image = ""
        /// The container's or sandbox's ID.
        var name = ""
        var namespace = ""
        var pod = ""
        /// Seconds since 1970.
        var started: Int64?
        var figures = CgroupFigures()
        var interfaces: [InterfaceFigures] = []
        /// Bytes of the writable layer.
        var storage: Int64?

        var labels: [(String, String)] {
            [("container", container), ("id", id), ("image", image), ("name", name), ("namespace", namespace), ("pod", pod)]
        }
    }

    /// Who the node is, and what it has.
    struct Machine: Sendable {
        var labels: [(String, String)]
        var cores: Int64?
        var memory: Int64?
    }

    /// Prometheus text: pure.
    static func text(_ groups: [Group], machine: Machine, now: Timestamp) -> String {
        var text = MetricText()
        for group in groups { add(group, to: &text, now: now) }
        text.add("machine_cpu_cores", .gauge, "Number of logical CPU cores.", machine.labels, machine.cores)
        text.add("machine_memory_bytes", .gauge, "Amount of memory installed on the machine.", machine.labels, machine.memory)
        text.add("container_scrape_error", .gauge, "1 if there was an error while getting container metrics, 0 otherwise", [], 0.0)
        return text.text
    }

    private static func add(_ group: Group, to text: inout MetricText, now: Timestamp) {
        let (labels, figures) = (group.labels, group.figures)
        func seconds(_ nanoseconds: Int64?) -> Double? { nanoseconds.map { Double($0) / 1e9 } }
        text.add("container_last_seen", .gauge, "Last time a container was seen by the exporter", labels, now.seconds)
        text.add(
            "container_cpu_usage_seconds_total", .counter, "Cumulative cpu time consumed in seconds.", labels + [("cpu", "total")],
            seconds(figures.cpuNanoseconds))
        if figures.cpuQuota != nil {
            text.add(
                "container_cpu_cfs_periods_total", .counter, "Number of elapsed enforcement period intervals.", labels, figures.periods)
            text.add(
                "container_cpu_cfs_throttled_periods_total", .counter, "Number of throttled period intervals.", labels, figures.throttledPeriods)
            text.add(
                "container_cpu_cfs_throttled_seconds_total", .counter, "Total time duration the container has been throttled.", labels,
                seconds(figures.throttledNanoseconds))
        }
        text.add("container_memory_usage_bytes", .gauge, "Current memory usage in bytes, whenever it was used.", labels, figures.memory)
        text.add("container_memory_working_set_bytes", .gauge, "Current working set in bytes.", labels, figures.workingSet)
        text.add("container_memory_rss", .gauge, "Size of RSS in bytes.", labels, figures.rss)
        text.add("container_memory_cache", .gauge, "Number of bytes of page cache memory.", labels, figures.cache)
        text.add("container_spec_memory_limit_bytes", .gauge, "Memory limit for the container.", labels, figures.memoryLimit)
        text.add("container_spec_cpu_period", .gauge, "CPU period of the container.", labels, figures.cpuPeriod)
        text.add("container_spec_cpu_quota", .gauge, "CPU quota of the container.", labels, figures.cpuQuota)
        text.add("container_start_time_seconds", .gauge, "Start time of the container since unix epoch in seconds.", labels, group.started)
        text.add(
            "container_fs_usage_bytes", .gauge, "Number of bytes that are consumed by the container on this filesystem.", labels + [("device", "")],
            group.storage)
        for interface in group.interfaces { add(interface, labels + [("interface", interface.name)], to: &text) }
    }

    private static func add(_ interface: InterfaceFigures, _ labels: [(String, String)], to text: inout MetricText) {
        for (name, verb, figures) in [("receive", "receiv", interface.received), ("transmit", "transmitt", interface.transmitted)] {
            for (what, help, number) in [
                ("bytes", "bytes \(verb)ed", figures.bytes), ("packets", "packets \(verb)ed", figures.packets),
                ("errors", "errors encountered while \(verb)ing", figures.errors),
                ("packets_dropped", "packets dropped while \(verb)ing", figures.dropped),
            ] {
                text.add("container_network_\(name)_\(what)_total", .counter, "Cumulative count of \(help)", labels, Double(number))
            }
        }
    }
}

extension NodeStatistics {
    /// Prometheus text.
    func containerMetrics() async throws -> String {
        let sandboxes = try await runtime.podSandboxes(PodSandboxFilter())
        let byPod = try await byPod()
        let configuration = configuration
        return try await FileWork.run {
            let groups = Self.groups(byPod, sandboxes.filter(\.isReady), configuration)
            let identity = Dictionary(HostFigures.nodeInfo(nodeName: configuration.nodeName)) { first, _ in first }
            let labels = [("boot_id", "bootID"), ("machine_id", "machineID"), ("system_uuid", "systemUUID")]
            let machine = ContainerMetrics.Machine(
                labels: labels.map { ($0.0, identity[$0.1]?.string ?? "") }, cores: configuration.capacity["cpu"]?.value,
                memory: configuration.capacity["memory"]?.value)
            return ContainerMetrics.text(groups, machine: machine, now: .now)
        }
    }

    /// The node, its pods, and their sandboxes and containers. Blocks.
    private static func groups(
        _ byPod: [(pod: Pod, containers: [RuntimeContainerStats])], _ sandboxes: [PodSandbox], _ configuration: KubeletConfiguration
    ) -> [ContainerMetrics.Group] {
        let cgroups = PodCgroups(configuration)
        let isUnified = cgroups.isUnified
        let root = cgroups.root == "/" ? "" : cgroups.root
        func figures(_ path: String) -> CgroupFigures {
            configuration.managesCgroups ? CgroupFigures(cgroupMount: cgroups.mount, path: path, isUnified: isUnified) : CgroupFigures()
        }
        var node = ContainerMetrics.Group(id: "/", figures: figures(root))
        node.interfaces = InterfaceFigures.own()
        var groups = [node]
        // Of pods that are over there is nothing to measure.
        for (pod, containers) in byPod where !pod.isTerminalInAPI || !containers.isEmpty {
            let path = cgroups.path(pod)
            func group(_ below: String) -> ContainerMetrics.Group {
                var group = ContainerMetrics.Group(id: path.dropFirst(root.count) + below, namespace: pod.namespace, pod: pod.name)
                group.figures = figures(path + below)
                return group
            }
            if configuration.managesCgroups { groups.append(group("")) }
            for sandbox in sandboxes where sandbox.metadata.uid == pod.uid && !pod.hostNetwork && configuration.managesCgroups {
                var own = group("/\(sandbox.id)")
                own.name = sandbox.id
                own.interfaces = InterfaceFigures.read(cgroupMount: cgroups.mount, path: "\(path)/\(sandbox.id)", isUnified: isUnified)
                groups.append(own)
            }
            for stats in containers { groups.append(container(stats, pod, group("/\(stats.id)"))) }
        }
        return groups
    }

    private static func container(_ stats: RuntimeContainerStats, _ pod: Pod, _ empty: ContainerMetrics.Group) -> ContainerMetrics.Group {
        var group = empty
        (group.container, group.name) = (stats.name, stats.id)
        let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"]
        let status = lists.lazy.flatMap { pod.status[$0].elements }.first { $0["name"].string == stats.name }
        group.image = status["image"].string ?? pod.container(named: stats.name)?.image ?? ""
        group.started = status["state"]["running"]["startedAt"].string.flatMap { Timestamp(rfc3339: $0) }?.seconds
        group.storage = stats.writableLayerBytes.map { Int64(clamping: $0) }
        // Where there are no cgroups to be read, what the runtime knows.
        if group.figures.cpuNanoseconds == nil { group.figures.cpuNanoseconds = stats.cpuNanoseconds.map { Int64(clamping: $0) } }
        if group.figures.memory == nil {
            group.figures.memory = stats.memoryUsageBytes.map { Int64(clamping: $0) }
            group.figures.workingSet = stats.workingSetBytes.map { Int64(clamping: $0) }
            group.figures.rss = stats.rssBytes.map { Int64(clamping: $0) }
        }
        return group
    }
}
