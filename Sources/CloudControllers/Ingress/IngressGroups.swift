import KubeAPI

/// Which Ingresses share a balancer: one by itself, or all that name a group. Upstream: pkg/ingress GroupID.
enum GroupID: Hashable, Sendable {
    case alone(namespace: String, name: String)
    case named(String)

    private static let aloneFinalizer = "ingress.k8s.aws/resources"
    private static let namedFinalizer = "group.ingress.k8s.aws/"

    /// What a file's name has room for beside its suffixes.
    private static let nameLimit = 200

    /// Fit for a file's name and a section's: names of namespaces and groups have no `_`. Long ones end in a number made of all of them.
    var name: String {
        let whole: String
        switch self {
        case .named(let name): return name
        case .alone(let namespace, let name): whole = "\(namespace)_\(name)"
        }
        guard whole.utf8.count > Self.nameLimit else { return whole }
        // FNV-1a.
        let number = whole.utf8.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        return "\(whole.prefix(Self.nameLimit - 17))_\(String(number, radix: 16))"
    }

    /// Keeps an Ingress until it is out of the balancer. Upstream: buildGroupFinalizer.
    var finalizer: String {
        switch self {
        case .alone: Self.aloneFinalizer
        case .named(let name): Self.namedFinalizer + name
        }
    }

    /// The groups that an Ingress is or was in. Upstream: LoadGroupIDsPendingFinalization.
    static func remembered(_ ingress: Object) -> [GroupID] {
        ingress.metadata.finalizers.compactMap { finalizer in
            if finalizer == aloneFinalizer { return .alone(namespace: ingress.metadata.namespace, name: ingress.metadata.name) }
            return finalizer.hasPrefix(namedFinalizer) ? .named(String(finalizer.dropFirst(namedFinalizer.count))) : nil
        }
    }
}

/// Ingresses that share a balancer. Upstream: pkg/ingress.Group.
struct IngressGroup {
    /// An Ingress that is ours, with what its class says.
    struct Member {
        var ingress: Object
        /// Auto Mode's classes lead to pods, the others to node ports unless told otherwise.
        var isAutoMode: Bool
    }

    var id: GroupID
    /// In the order of their rules.
    var members: [Member] = []
    /// Those that still have its finalizer, and have left.
    var leaving: [Object] = []
    /// Why it stays as it is for now; nil: nothing.
    var trouble: String?
}

/// Sorts Ingresses into groups. Upstream: pkg/ingress.defaultGroupLoader.
struct IngressSorting {
    /// Upstream: IngressClassControllerALB, and EKS Auto Mode's.
    static let controller = "ingress.k8s.aws/alb"
    static let autoModeController = "eks.amazonaws.com/alb"
    /// Upstream: annotations.IngressClass, defaultIngressClass.
    private static let classAnnotation = "kubernetes.io/ingress.class"
    private static let className = "alb"
    private static let orders = -1000...1000
    private static let nameLimit = 63

    /// What an Ingress is to us.
    enum Belonging: Equatable {
        case stranger
        case member(GroupID, isAutoMode: Bool)
        /// Its class is not there: it leaves no group for that.
        case unclassed(String)
        /// Its group has no name that one may have.
        case misnamed(String)
    }

    /// The classes by name.
    let classes: [String: Object]

    /// Upstream: loadGroupIDIfAnyHelper.
    func belonging(_ ingress: Object) -> Belonging {
        if ingress.metadata.isBeingDeleted { return .stranger }
        if let annotated = ingress.metadata.annotations[Self.classAnnotation] {
            return annotated == Self.className ? grouped(ingress, isAutoMode: false) : .stranger
        }
        guard let name = ingress["spec"]["ingressClassName"].string else { return .stranger }
        guard let found = classes[name] else {
            return .unclassed("invalid ingress class: IngressClass.networking.k8s.io \"\(name)\" not found")
        }
        switch found["spec"]["controller"].string {
        case Self.controller: return grouped(ingress, isAutoMode: false)
        case Self.autoModeController: return grouped(ingress, isAutoMode: true)
        default: return .stranger
        }
    }

    private func grouped(_ ingress: Object, isAutoMode: Bool) -> Belonging {
        let metadata = ingress.metadata
        guard let name = metadata.annotations[IngressAnnotations.prefix + "group.name"] else {
            return .member(.alone(namespace: metadata.namespace, name: metadata.name), isAutoMode: isAutoMode)
        }
        if let complaint = Self.complaint(aboutName: name) { return .misnamed("invalid ingress group: \(complaint)") }
        return .member(.named(name), isAutoMode: isAutoMode)
    }

    /// Upstream: validateGroupName.
    private static func complaint(aboutName name: String) -> String? {
        let inner = { (character: Character) in
            character.isASCII && (character.isNumber || character.isLowercase || character == "-" || character == ".")
        }
        let outer = { (character: Character?) in character.map { inner($0) && $0 != "-" && $0 != "." } ?? false }
        guard name.allSatisfy(inner), outer(name.first), outer(name.last) else {
            return "groupName must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
        }
        return name.count > nameLimit ? "groupName must be no more than \(nameLimit) characters" : nil
    }

    /// All groups, in the order of their names, with those that only have Ingresses that left.
    func groups(_ ingresses: [Object]) -> [IngressGroup] {
        var groups: [GroupID: IngressGroup] = [:]
        for ingress in ingresses.sorted(by: { $0.metadata.key < $1.metadata.key }) {
            let belonging = belonging(ingress)
            var current: GroupID?
            if case .member(let id, let isAutoMode) = belonging {
                current = id
                groups[id, default: IngressGroup(id: id)].members.append(.init(ingress: ingress, isAutoMode: isAutoMode))
            }
            for id in GroupID.remembered(ingress) where id != current {
                if case .unclassed(let why) = belonging {
                    groups[id, default: IngressGroup(id: id)].trouble =
                        "Ingress: \(ingress.metadata.key): Ingress has invalid IngressClass configuration: \(why)"
                } else {
                    groups[id, default: IngressGroup(id: id)].leaving.append(ingress)
                }
            }
        }
        return groups.values.sorted { $0.id.name < $1.id.name }.map(Self.ordered)
    }

    /// By `group.order`, then by name. Upstream: sortGroupMembers.
    private static func ordered(_ group: IngressGroup) -> IngressGroup {
        var group = group
        var orders: [String: Int] = [:]
        for member in group.members {
            let key = member.ingress.metadata.key
            guard let text = IngressAnnotations(member.ingress).string("group.order") else { continue }
            guard let order = Int(text) else {
                group.trouble = "failed to load Ingress group order for ingress: \(key)"
                return group
            }
            guard Self.orders.contains(order) else {
                group.trouble = "explicit Ingress group order must be within [-1000:1000], Ingress: \(key), order: \(order)"
                return group
            }
            orders[key] = order
        }
        group.members.sort { a, b in
            let (first, second) = (a.ingress.metadata.key, b.ingress.metadata.key)
            let (one, other) = (orders[first] ?? 0, orders[second] ?? 0)
            return one == other ? first < second : one < other
        }
        return group
    }
}
