/// Who a pod sandbox belongs to. Upstream: runtimeapi.PodSandboxMetadata.
package struct PodSandboxMetadata: Sendable, Hashable {
    package var name: String
    package var namespace: String
    package var uid: String
    /// How many sandboxes this pod had before.
    package var attempt: UInt32

    package init(name: String, namespace: String, uid: String, attempt: UInt32 = 0) {
        self.name = name
        self.namespace = namespace
        self.uid = uid
        self.attempt = attempt
    }
}

/// Whose namespace a container joins. Upstream: runtimeapi.NamespaceMode.
package enum NamespaceMode: Sendable, Hashable { case pod, container, node, target }

/// The Linux namespaces of a sandbox or container. Upstream: runtimeapi.NamespaceOption.
package struct NamespaceOptions: Sendable, Hashable {
    package var network: NamespaceMode
    package var pid: NamespaceMode
    package var ipc: NamespaceMode
    /// The container whose PID namespace is joined when `pid` is `.target`.
    package var targetID: String

    package init(network: NamespaceMode = .pod, pid: NamespaceMode = .container, ipc: NamespaceMode = .pod, targetID: String = "") {
        self.network = network
        self.pid = pid
        self.ipc = ipc
        self.targetID = targetID
    }
}

/// A seccomp or AppArmor profile. Upstream: runtimeapi.SecurityProfile.
package enum SecurityProfile: Sendable, Hashable {
    case runtimeDefault, unconfined
    /// A profile file's path, or an AppArmor profile's name.
    case localhost(String)
}

/// cgroup settings; zero means "not set". Upstream: runtimeapi.LinuxContainerResources.
package struct LinuxResources: Sendable, Hashable {
    /// Microseconds.
    package var cpuPeriod: Int64
    /// Microseconds of CPU in each period.
    package var cpuQuota: Int64
    package var cpuShares: Int64
    /// Bytes.
    package var memoryLimit: Int64
    /// Bytes of memory and swap together, with cgroup v1.
    package var memorySwapLimit: Int64
    package var oomScoreAdj: Int64
    /// cgroup v2 files by name.
    package var unified: [String: String]
    /// Bytes by size of page: `2MB`. A size without a limit is not named.
    package var hugePages: [String: UInt64]

    package init(
        cpuPeriod: Int64 = 0, cpuQuota: Int64 = 0, cpuShares: Int64 = 0, memoryLimit: Int64 = 0, memorySwapLimit: Int64 = 0,
        oomScoreAdj: Int64 = 0, unified: [String: String] = [:], hugePages: [String: UInt64] = [:]
    ) {
        self.cpuPeriod = cpuPeriod
        self.cpuQuota = cpuQuota
        self.cpuShares = cpuShares
        self.memoryLimit = memoryLimit
        self.memorySwapLimit = memorySwapLimit
        self.oomScoreAdj = oomScoreAdj
        self.unified = unified
        self.hugePages = hugePages
    }
}

/// The contents of a container's resolv.conf. Upstream: runtimeapi.DNSConfig.
package struct RuntimeDNSConfig: Sendable, Hashable {
    package var servers: [String]
    package var searches: [String]
    package var options: [String]

    package init(servers: [String] = [], searches: [String] = [], options: [String] = []) {
        self.servers = servers
        self.searches = searches
        self.options = options
    }
}

/// A port of the host given to the pod. Upstream: runtimeapi.PortMapping.
package struct RuntimePortMapping: Sendable, Hashable {
    package enum TransportProtocol: Sendable, Hashable { case tcp, udp, sctp }
    package var transport: TransportProtocol
    package var containerPort: Int32
    package var hostPort: Int32
    package var hostIP: String

    package init(transport: TransportProtocol, containerPort: Int32, hostPort: Int32, hostIP: String) {
        self.transport = transport
        self.containerPort = containerPort
        self.hostPort = hostPort
        self.hostIP = hostIP
    }
}

/// What a sandbox is made of. Upstream: runtimeapi.PodSandboxConfig.
package struct PodSandboxConfig: Sendable {
    package var metadata: PodSandboxMetadata
    package var hostname: String
    /// Directory of the pod's container logs.
    package var logDirectory: String
    package var dns: RuntimeDNSConfig?
    package var portMappings: [RuntimePortMapping]
    package var labels: [String: String]
    package var annotations: [String: String]
    package var cgroupParent: String
    package var sysctls: [String: String]
    package var namespaces: NamespaceOptions
    package var runAsUser: Int64?
    package var runAsGroup: Int64?
    package var supplementalGroups: [Int64]
    package var privileged: Bool
    package var seccomp: SecurityProfile
    package var resources: LinuxResources?
    /// The runtime's configuration for this kind of sandbox; empty for its usual one.
    package var runtimeHandler: String

    package init(metadata: PodSandboxMetadata) {
        self.metadata = metadata
        hostname = ""
        logDirectory = ""
        dns = nil
        portMappings = []
        labels = [:]
        annotations = [:]
        cgroupParent = ""
        sysctls = [:]
        namespaces = NamespaceOptions()
        runAsUser = nil
        runAsGroup = nil
        supplementalGroups = []
        privileged = false
        seccomp = .runtimeDefault
        resources = nil
        runtimeHandler = ""
    }
}

/// A sandbox as lists show it, and with `ips` as its status does. Upstream: runtimeapi.PodSandbox and PodSandboxStatus.
package struct PodSandbox: Sendable, Hashable {
    package var id: String
    package var metadata: PodSandboxMetadata
    package var isReady: Bool
    /// Nanoseconds since 1970.
    package var createdAt: Int64
    package var labels: [String: String]
    package var annotations: [String: String]
    /// The pod's addresses, the primary first; empty in lists, and for pods in the node's network.
    package var ips: [String]
    package var networkMode: NamespaceMode

    package init(
        id: String, metadata: PodSandboxMetadata, isReady: Bool, createdAt: Int64, labels: [String: String] = [:],
        annotations: [String: String] = [:],
        ips: [String] = [], networkMode: NamespaceMode = .pod
    ) {
        self.id = id
        self.metadata = metadata
        self.isReady = isReady
        self.createdAt = createdAt
        self.labels = labels
        self.annotations = annotations
        self.ips = ips
        self.networkMode = networkMode
    }
}

/// How mounts made on one side are seen on the other. Upstream: runtimeapi.MountPropagation.
package enum MountPropagation: Sendable, Hashable { case `private`, hostToContainer, bidirectional }

/// A file or folder of the host inside a container. Upstream: runtimeapi.Mount.
package struct ContainerMount: Sendable, Hashable {
    package var containerPath: String
    package var hostPath: String
    package var readOnly: Bool
    package var recursiveReadOnly: Bool
    package var propagation: MountPropagation

    package init(
        containerPath: String, hostPath: String, readOnly: Bool = false, recursiveReadOnly: Bool = false, propagation: MountPropagation = .private
    ) {
        self.containerPath = containerPath
        self.hostPath = hostPath
        self.readOnly = readOnly
        self.recursiveReadOnly = recursiveReadOnly
        self.propagation = propagation
    }
}

/// A device node of the host inside a container. Upstream: runtimeapi.Device.
package struct ContainerDevice: Sendable, Hashable {
    package var containerPath: String
    package var hostPath: String
    /// `r`, `w`, `m` in any combination.
    package var permissions: String

    package init(containerPath: String, hostPath: String, permissions: String) {
        self.containerPath = containerPath
        self.hostPath = hostPath
        self.permissions = permissions
    }
}

/// Who a container's processes are and what they may do. Upstream: runtimeapi.LinuxContainerSecurityContext.
package struct ContainerSecurity: Sendable {
    package var addCapabilities: [String]
    package var dropCapabilities: [String]
    package var privileged: Bool
    package var namespaces: NamespaceOptions
    package var runAsUser: Int64?
    package var runAsGroup: Int64?
    package var runAsUsername: String
    package var readOnlyRootFilesystem: Bool
    package var supplementalGroups: [Int64]
    package var noNewPrivileges: Bool
    package var maskedPaths: [String]
    package var readOnlyPaths: [String]
    package var seccomp: SecurityProfile
    package var appArmor: SecurityProfile?

    package init() {
        addCapabilities = []
        dropCapabilities = []
        privileged = false
        namespaces = NamespaceOptions()
        runAsUser = nil
        runAsGroup = nil
        runAsUsername = ""
        readOnlyRootFilesystem = false
        supplementalGroups = []
        noNewPrivileges = false
        maskedPaths = []
        readOnlyPaths = []
        seccomp = .unconfined
        appArmor = nil
    }
}

/// What a container is made of. Upstream: runtimeapi.ContainerConfig.
package struct ContainerConfig: Sendable {
    package var name: String
    package var attempt: UInt32
    /// The image's ID or reference as the runtime knows it.
    package var image: String
    /// The image as the pod's author wrote it.
    package var userSpecifiedImage: String
    package var command: [String]
    package var args: [String]
    package var workingDirectory: String
    package var environment: [(name: String, value: String)]
    package var mounts: [ContainerMount]
    package var devices: [ContainerDevice]
    package var labels: [String: String]
    package var annotations: [String: String]
    /// Relative to the sandbox's log directory.
    package var logPath: String
    package var stdin: Bool
    package var stdinOnce: Bool
    package var tty: Bool
    package var resources: LinuxResources
    package var security: ContainerSecurity

    package init(name: String, attempt: UInt32, image: String) {
        self.name = name
        self.attempt = attempt
        self.image = image
        userSpecifiedImage = image
        command = []
        args = []
        workingDirectory = ""
        environment = []
        mounts = []
        devices = []
        labels = [:]
        annotations = [:]
        logPath = ""
        stdin = false
        stdinOnce = false
        tty = false
        resources = LinuxResources()
        security = ContainerSecurity()
    }
}

/// Upstream: runtimeapi.ContainerState.
package enum ContainerState: Sendable, Hashable { case created, running, exited, unknown }

/// A container as lists show it. Upstream: runtimeapi.Container.
package struct RuntimeContainer: Sendable, Hashable {
    package var id: String
    package var sandboxID: String
    package var name: String
    package var attempt: UInt32
    package var imageRef: String
    package var state: ContainerState
    /// Nanoseconds since 1970.
    package var createdAt: Int64
    package var labels: [String: String]
    package var annotations: [String: String]

    package init(
        id: String, sandboxID: String, name: String, attempt: UInt32, imageRef: String, state: ContainerState, createdAt: Int64,
        labels: [String: String],
        annotations: [String: String]
    ) {
        self.id = id
        self.sandboxID = sandboxID
        self.name = name
        self.attempt = attempt
        self.imageRef = imageRef
        self.state = state
        self.createdAt = createdAt
        self.labels = labels
        self.annotations = annotations
    }
}

/// Everything the runtime tells of one container. Times are nanoseconds since 1970, 0 for "not yet". Upstream: runtimeapi.ContainerStatus.
package struct RuntimeContainerStatus: Sendable, Hashable {
    package var id: String
    package var name: String
    package var attempt: UInt32
    package var state: ContainerState
    package var createdAt: Int64
    package var startedAt: Int64
    package var finishedAt: Int64
    package var exitCode: Int32
    /// The image as it was asked for.
    package var image: String
    /// `name@sha256:…` where the runtime knows it.
    package var imageRef: String
    /// `Completed`, `Error`, `OOMKilled`, ….
    package var reason: String
    package var message: String
    package var labels: [String: String]
    package var annotations: [String: String]
    package var mounts: [ContainerMount]
    package var logPath: String
    /// What its cgroup is set to; nil when the runtime does not tell.
    package var resources: LinuxResources?

    package init(id: String, name: String, attempt: UInt32, state: ContainerState) {
        self.id = id
        self.name = name
        self.attempt = attempt
        self.state = state
        createdAt = 0
        startedAt = 0
        finishedAt = 0
        exitCode = 0
        image = ""
        imageRef = ""
        reason = ""
        message = ""
        labels = [:]
        annotations = [:]
        mounts = []
        logPath = ""
        resources = nil
    }
}

/// Which sandboxes a list shows. Upstream: runtimeapi.PodSandboxFilter.
package struct PodSandboxFilter: Sendable {
    package var id: String?
    package var labels: [String: String]

    package init(id: String? = nil, labels: [String: String] = [:]) {
        self.id = id
        self.labels = labels
    }
}

/// Which containers a list shows. Upstream: runtimeapi.ContainerFilter.
package struct ContainerFilter: Sendable {
    package var id: String?
    package var sandboxID: String?
    package var labels: [String: String]

    package init(id: String? = nil, sandboxID: String? = nil, labels: [String: String] = [:]) {
        self.id = id
        self.sandboxID = sandboxID
        self.labels = labels
    }
}

/// An image the runtime holds. Upstream: runtimeapi.Image.
package struct RuntimeImage: Sendable, Hashable {
    package var id: String
    package var tags: [String]
    package var digests: [String]
    /// Bytes.
    package var size: UInt64
    /// The user the image runs as, when it is a number.
    package var uid: Int64?
    package var username: String

    package init(id: String, tags: [String], digests: [String], size: UInt64, uid: Int64? = nil, username: String = "") {
        self.id = id
        self.tags = tags
        self.digests = digests
        self.size = size
        self.uid = uid
        self.username = username
    }
}

/// Credentials for a registry. Upstream: runtimeapi.AuthConfig.
package struct RegistryCredentials: Sendable {
    package var username: String
    package var password: String
    /// Base64 of `username:password`, as in docker's config.
    package var auth: String
    package var serverAddress: String
    package var identityToken: String
    package var registryToken: String

    package init(
        username: String = "", password: String = "", auth: String = "", serverAddress: String = "", identityToken: String = "",
        registryToken: String = ""
    ) {
        self.username = username
        self.password = password
        self.auth = auth
        self.serverAddress = serverAddress
        self.identityToken = identityToken
        self.registryToken = registryToken
    }
}
