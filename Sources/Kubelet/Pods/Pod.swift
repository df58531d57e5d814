import KubeAPI

/// A pod as the kubelet reads it: a typed view over the API object. Upstream: core/v1 Pod.
struct Pod: Sendable {
    let object: Object
    let uid: String
    let name: String
    let namespace: String

    init(_ object: Object) {
        self.init(object, uid: object.metadata.uid)
    }

    /// A pod as the API shows it to users: a mirror stands for the static pod that runs.
    init(shown object: Object) {
        self.init(object, uid: object.staticUID ?? object.metadata.uid)
    }

    private init(_ object: Object, uid: String) {
        self.object = object
        self.uid = uid
        name = object.metadata.name
        namespace = object.metadata.namespace
    }

    enum RestartPolicy: String, Sendable {
        case always = "Always"
        case onFailure = "OnFailure"
        case never = "Never"

        func restarts(after exitCode: Int32) -> Bool {
            switch self {
            case .always: true
            case .onFailure: exitCode != 0
            case .never: false
            }
        }
    }

    var metadata: ObjectMeta { object.metadata }
    var spec: JSONView? { object["spec"] }
    var status: JSONView? { object["status"] }
    var key: String { "\(namespace)/\(name)" }
    /// As upstream's format.Pod writes it into messages: `web_default(2c1e…)`.
    var fullName: String { "\(name)_\(namespace)(\(uid))" }

    var restartPolicy: RestartPolicy { spec["restartPolicy"].string.flatMap(RestartPolicy.init) ?? .always }
    var hostNetwork: Bool { spec["hostNetwork"].bool ?? false }
    var hostPID: Bool { spec["hostPID"].bool ?? false }
    var hostIPC: Bool { spec["hostIPC"].bool ?? false }
    var shareProcessNamespace: Bool { spec["shareProcessNamespace"].bool ?? false }
    var serviceAccountName: String { spec["serviceAccountName"].string ?? "" }
    var nodeName: String { spec["nodeName"].string ?? "" }
    var isBeingDeleted: Bool { metadata.isBeingDeleted }
    /// Not of the API server but of a file on this node. Upstream: kubetypes.IsStaticPod.
    var isStatic: Bool { metadata.annotations["kubernetes.io/config.source"].map { $0 != "api" } ?? false }
    /// Phase as the API server last had it.
    var phase: String { status["phase"].string ?? "" }
    var isTerminalInAPI: Bool { phase == "Succeeded" || phase == "Failed" }
    var terminationGracePeriodSeconds: Int64 { spec["terminationGracePeriodSeconds"].int ?? 30 }
    var activeDeadlineSeconds: Int64? { spec["activeDeadlineSeconds"].int }
    var volumes: [JSONView] { spec["volumes"].elements }
    var securityContext: JSONView? { spec["securityContext"] }

    /// The grace for the pod's containers to end. Upstream: calculateEffectiveGracePeriod.
    var effectiveGracePeriodSeconds: Int64 {
        let grace = metadata.deletionGracePeriodSeconds ?? terminationGracePeriodSeconds
        return max(1, grace)
    }

    var initContainers: [ContainerSpec] { spec["initContainers"].elements.map { ContainerSpec(view: $0, isInit: true) } }
    var containers: [ContainerSpec] { spec["containers"].elements.map { ContainerSpec(view: $0, isInit: false) } }
    /// Added to the running pod, for debugging.
    var ephemeralContainers: [ContainerSpec] {
        spec["ephemeralContainers"].elements.map { ContainerSpec(view: $0, isInit: false, isEphemeral: true) }
    }
    /// Those the pod was made with.
    var allContainers: [ContainerSpec] { initContainers + containers }
    func container(named name: String) -> ContainerSpec? { (allContainers + ephemeralContainers).first { $0.name == name } }

    /// The host name inside the pod. Upstream: GeneratePodHostNameAndDomain.
    var hostname: String {
        if let hostname = spec["hostnameOverride"].string, !hostname.isEmpty { return hostname }
        let wanted = spec["hostname"].string ?? ""
        let name = wanted.isEmpty ? name : wanted
        guard name.utf8.count > 63 else { return name }
        // A label of DNS has 63 bytes and does not end in a separator. Upstream: truncatePodHostnameIfNeeded.
        var cut = Substring(name.prefix(63))
        while let last = cut.last, last == "-" || last == "." { cut = cut.dropLast() }
        return String(cut)
    }
    /// `subdomain.namespace.svc.domain`, empty without a subdomain.
    func hostDomain(clusterDomain: String) -> String {
        guard let subdomain = spec["subdomain"].string, !subdomain.isEmpty else { return "" }
        return "\(subdomain).\(namespace).svc.\(clusterDomain)"
    }
}

/// A container of a pod's spec. Upstream: core/v1 Container.
struct ContainerSpec: Sendable {
    let view: JSONView
    /// Listed under `initContainers`.
    let isInit: Bool
    /// Listed under `ephemeralContainers`: started once, never again.
    var isEphemeral = false

    var name: String { view["name"].string ?? "" }
    var image: String { view["image"].string ?? "" }
    var command: [String] { view["command"].strings }
    var args: [String] { view["args"].strings }
    var workingDirectory: String { view["workingDir"].string ?? "" }
    var imagePullPolicy: String { view["imagePullPolicy"].string ?? (Self.hasLatestTag(image) ? "Always" : "IfNotPresent") }
    /// An init container that runs beside the others. Upstream: podutil.IsRestartableInitContainer.
    var isSidecar: Bool { isInit && view["restartPolicy"].string == "Always" }
    /// The container's own policy, where it has one.
    var restartPolicy: Pod.RestartPolicy? { view["restartPolicy"].string.flatMap(Pod.RestartPolicy.init) }
    var ports: [JSONView] { view["ports"].elements }
    var securityContext: JSONView? { view["securityContext"] }
    var terminationMessagePath: String { view["terminationMessagePath"].string ?? "/dev/termination-log" }
    var terminationMessagePolicy: String { view["terminationMessagePolicy"].string ?? "File" }
    var livenessProbe: JSONView? { view["livenessProbe"] }
    var readinessProbe: JSONView? { view["readinessProbe"] }
    var startupProbe: JSONView? { view["startupProbe"] }
    var preStop: JSONView? { view["lifecycle"]["preStop"] }
    var postStart: JSONView? { view["lifecycle"]["postStart"] }
    var requests: ResourceList { view["resources"]["requests"].resourceList }
    var limits: ResourceList { view["resources"]["limits"].resourceList }
    /// Where events about this container point.
    var fieldPath: String { "spec.\(isEphemeral ? "ephemeralContainers" : isInit ? "initContainers" : "containers"){\(name)}" }

    /// Whether it starts again after it has ended: by the first rule for its exit code, its own policy, or the pod's.
    /// Upstream: kubecontainer.ContainerShouldRestart.
    func restarts(after exitCode: Int32, in pod: Pod) -> Bool {
        if let restartPolicy {
            let rule = view["restartPolicyRules"].elements.first { rule in
                let isListed = rule["exitCodes"]["values"].elements.contains { $0.int == Int64(exitCode) }
                switch rule["exitCodes"]["operator"].string {
                case "In": return isListed
                case "NotIn": return !isListed
                default: return false
                }
            }
            if rule["action"].string == "Restart" { return true }
            return restartPolicy.restarts(after: exitCode)
        }
        return pod.restartPolicy.restarts(after: exitCode)
    }

    /// Whether it starts again when its probes have it killed: rules are about containers that end by themselves.
    func restartsWhenKilled(in pod: Pod) -> Bool { (restartPolicy ?? pod.restartPolicy) != .never }

    /// Whether an image without a policy is pulled each time.
    static func hasLatestTag(_ image: String) -> Bool {
        if image.contains("@") { return false }
        let last = image.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        guard let colon = last.firstIndex(of: ":") else { return true }
        return last[last.index(after: colon)...] == "latest"
    }

    /// A digest of what, when changed, makes the container be restarted: its name and image. Upstream: kubecontainer.HashContainer.
    var hash: String {
        let text = "{\"name\":\"\(name)\",\"image\":\"\(image)\"}"
        var hash: UInt32 = 2_166_136_261
        for byte in text.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return String(hash, radix: 16)
    }

    /// A port by number or by the name it has in this container.
    func port(_ view: JSONView?) -> Int? {
        if let number = view.int { return (1...65535).contains(number) ? Int(number) : nil }
        guard let name = view.string else { return nil }
        if let match = ports.first(where: { $0["name"].string == name }) { return match["containerPort"].int.flatMap { Int(exactly: $0) } }
        return Int(name).flatMap { (1...65535).contains($0) ? $0 : nil }
    }
}
