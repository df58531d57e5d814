import CRIProtocol
import FoundationEssentials

/// Runtime types to and from the CRI's messages.
extension NamespaceMode {
    var message: Runtime_V1_NamespaceMode {
        switch self {
        case .pod: .pod
        case .container: .container
        case .node: .node
        case .target: .target
        }
    }
    init(_ message: Runtime_V1_NamespaceMode) {
        switch message {
        case .pod, .UNRECOGNIZED: self = .pod
        case .container: self = .container
        case .node: self = .node
        case .target: self = .target
        }
    }
}

extension NamespaceOptions {
    var message: Runtime_V1_NamespaceOption {
        var message = Runtime_V1_NamespaceOption()
        message.network = network.message
        message.pid = pid.message
        message.ipc = ipc.message
        message.targetID = targetID
        return message
    }
}

extension SecurityProfile {
    var message: Runtime_V1_SecurityProfile {
        var message = Runtime_V1_SecurityProfile()
        switch self {
        case .runtimeDefault: message.profileType = .runtimeDefault
        case .unconfined: message.profileType = .unconfined
        case .localhost(let reference):
            message.profileType = .localhost
            message.localhostRef = reference
        }
        return message
    }
}

extension LinuxResources {
    var message: Runtime_V1_LinuxContainerResources {
        var message = Runtime_V1_LinuxContainerResources()
        message.cpuPeriod = cpuPeriod
        message.cpuQuota = cpuQuota
        message.cpuShares = cpuShares
        message.memoryLimitInBytes = memoryLimit
        message.memorySwapLimitInBytes = memorySwapLimit
        message.oomScoreAdj = oomScoreAdj
        message.unified = unified
        message.hugepageLimits = hugePages.sorted { $0.key < $1.key }.map { size, bytes in
            var limit = Runtime_V1_HugepageLimit()
            limit.pageSize = size
            limit.limit = bytes
            return limit
        }
        return message
    }

    init(_ message: Runtime_V1_LinuxContainerResources) {
        self.init(
            cpuPeriod: message.cpuPeriod, cpuQuota: message.cpuQuota, cpuShares: message.cpuShares, memoryLimit: message.memoryLimitInBytes,
            memorySwapLimit: message.memorySwapLimitInBytes, oomScoreAdj: message.oomScoreAdj, unified: message.unified,
            hugePages: Dictionary(message.hugepageLimits.map { ($0.pageSize, $0.limit) }) { $1 })
    }
}

private func wrapped(_ number: Int64) -> Runtime_V1_Int64Value {
    var value = Runtime_V1_Int64Value()
    value.value = number
    return value
}

extension PodSandboxConfig {
    var message: Runtime_V1_PodSandboxConfig {
        var message = Runtime_V1_PodSandboxConfig()
        message.metadata.name = metadata.name
        message.metadata.namespace = metadata.namespace
        message.metadata.uid = metadata.uid
        message.metadata.attempt = metadata.attempt
        message.hostname = hostname
        message.logDirectory = logDirectory
        if let dns {
            message.dnsConfig.servers = dns.servers
            message.dnsConfig.searches = dns.searches
            message.dnsConfig.options = dns.options
        }
        message.portMappings = portMappings.map { mapping in
            var port = Runtime_V1_PortMapping()
            port.protocol =
                switch mapping.transport {
                case .tcp: .tcp
                case .udp: .udp
                case .sctp: .sctp
                }
            port.containerPort = mapping.containerPort
            port.hostPort = mapping.hostPort
            port.hostIp = mapping.hostIP
            return port
        }
        message.labels = labels
        message.annotations = annotations
        var security = Runtime_V1_LinuxSandboxSecurityContext()
        security.namespaceOptions = namespaces.message
        if let runAsUser { security.runAsUser = wrapped(runAsUser) }
        if let runAsGroup { security.runAsGroup = wrapped(runAsGroup) }
        security.supplementalGroups = supplementalGroups
        security.privileged = privileged
        security.seccomp = seccomp.message
        message.linux.cgroupParent = cgroupParent
        message.linux.sysctls = sysctls
        message.linux.securityContext = security
        if let resources { message.linux.resources = resources.message }
        return message
    }
}

extension PodSandbox {
    init(listed item: Runtime_V1_PodSandbox) {
        self.init(
            id: item.id,
            metadata: PodSandboxMetadata(
                name: item.metadata.name, namespace: item.metadata.namespace, uid: item.metadata.uid, attempt: item.metadata.attempt),
            isReady: item.state == .sandboxReady, createdAt: item.createdAt, labels: item.labels, annotations: item.annotations)
    }

    init(status: Runtime_V1_PodSandboxStatus) {
        var ips: [String] = []
        if !status.network.ip.isEmpty { ips = [status.network.ip] + status.network.additionalIps.map(\.ip) }
        self.init(
            id: status.id,
            metadata: PodSandboxMetadata(
                name: status.metadata.name, namespace: status.metadata.namespace, uid: status.metadata.uid, attempt: status.metadata.attempt),
            isReady: status.state == .sandboxReady, createdAt: status.createdAt, labels: status.labels, annotations: status.annotations, ips: ips,
            networkMode: NamespaceMode(status.linux.namespaces.options.network))
    }
}

extension PodSandboxFilter {
    var message: Runtime_V1_PodSandboxFilter {
        var message = Runtime_V1_PodSandboxFilter()
        message.id = id ?? ""
        message.labelSelector = labels
        return message
    }
}

extension ContainerFilter {
    var message: Runtime_V1_ContainerFilter {
        var message = Runtime_V1_ContainerFilter()
        message.id = id ?? ""
        message.podSandboxID = sandboxID ?? ""
        message.labelSelector = labels
        return message
    }
}

extension ContainerMount {
    var message: Runtime_V1_Mount {
        var message = Runtime_V1_Mount()
        message.containerPath = containerPath
        message.hostPath = hostPath
        message.readonly = readOnly
        message.recursiveReadOnly = recursiveReadOnly
        message.propagation =
            switch propagation {
            case .private: .propagationPrivate
            case .hostToContainer: .propagationHostToContainer
            case .bidirectional: .propagationBidirectional
            }
        return message
    }
}

extension ContainerSecurity {
    var message: Runtime_V1_LinuxContainerSecurityContext {
        var message = Runtime_V1_LinuxContainerSecurityContext()
        message.capabilities.addCapabilities = addCapabilities
        message.capabilities.dropCapabilities = dropCapabilities
        message.privileged = privileged
        message.namespaceOptions = namespaces.message
        if let runAsUser { message.runAsUser = wrapped(runAsUser) }
        if let runAsGroup { message.runAsGroup = wrapped(runAsGroup) }
        message.runAsUsername = runAsUsername
        message.readonlyRootfs = readOnlyRootFilesystem
        message.supplementalGroups = supplementalGroups
        message.noNewPrivs = noNewPrivileges
        message.maskedPaths = maskedPaths
        message.readonlyPaths = readOnlyPaths
        message.seccomp = seccomp.message
        if let appArmor { message.apparmor = appArmor.message }
        return message
    }
}

extension ContainerConfig {
    var message: Runtime_V1_ContainerConfig {
        var message = Runtime_V1_ContainerConfig()
        message.metadata.name = name
        message.metadata.attempt = attempt
        message.image.image = image
        message.image.userSpecifiedImage = userSpecifiedImage
        message.command = command
        message.args = args
        message.workingDir = workingDirectory
        message.envs = environment.map { variable in
            var pair = Runtime_V1_KeyValue()
            pair.key = variable.name
            pair.value = Data(variable.value.utf8)  // Bytes on the wire since CRI 0.36; the same encoding as the string before.
            return pair
        }
        message.mounts = mounts.map(\.message)
        message.devices = devices.map { device in
            var entry = Runtime_V1_Device()
            entry.containerPath = device.containerPath
            entry.hostPath = device.hostPath
            entry.permissions = device.permissions
            return entry
        }
        message.labels = labels
        message.annotations = annotations
        message.logPath = logPath
        message.stdin = stdin
        message.stdinOnce = stdinOnce
        message.tty = tty
        message.linux.resources = resources.message
        message.linux.securityContext = security.message
        return message
    }
}

extension ContainerState {
    init(_ message: Runtime_V1_ContainerState) {
        switch message {
        case .containerCreated: self = .created
        case .containerRunning: self = .running
        case .containerExited: self = .exited
        case .containerUnknown, .UNRECOGNIZED: self = .unknown
        }
    }
}

extension RuntimeContainer {
    init(listed item: Runtime_V1_Container) {
        self.init(
            id: item.id, sandboxID: item.podSandboxID, name: item.metadata.name, attempt: item.metadata.attempt, imageRef: item.imageRef,
            state: ContainerState(item.state), createdAt: item.createdAt, labels: item.labels, annotations: item.annotations)
    }
}

extension RuntimeContainerStatus {
    init(status: Runtime_V1_ContainerStatus) {
        self.init(id: status.id, name: status.metadata.name, attempt: status.metadata.attempt, state: ContainerState(status.state))
        createdAt = status.createdAt
        startedAt = status.startedAt
        finishedAt = status.finishedAt
        exitCode = status.exitCode
        image = status.image.userSpecifiedImage.isEmpty ? status.image.image : status.image.userSpecifiedImage
        imageRef = status.imageRef
        reason = status.reason
        message = status.message
        labels = status.labels
        annotations = status.annotations
        mounts = status.mounts.map { ContainerMount(containerPath: $0.containerPath, hostPath: $0.hostPath, readOnly: $0.readonly) }
        logPath = status.logPath
        resources = status.hasResources && status.resources.hasLinux ? LinuxResources(status.resources.linux) : nil
    }
}

extension RuntimeImage {
    init(message: Runtime_V1_Image) {
        self.init(
            id: message.id, tags: message.repoTags, digests: message.repoDigests, size: message.size, uid: message.hasUid ? message.uid.value : nil,
            username: message.username)
    }
}

extension RegistryCredentials {
    var message: Runtime_V1_AuthConfig {
        var message = Runtime_V1_AuthConfig()
        message.username = username
        message.password = password
        message.auth = auth
        message.serverAddress = serverAddress
        message.identityToken = identityToken
        message.registryToken = registryToken
        return message
    }
}
