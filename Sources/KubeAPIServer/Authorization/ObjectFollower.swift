import Dispatch
import KubeAPI
import Synchronization

/// Keeps an index in step with the objects of a resource: shows it all that are present, then every change, in order and never two at once.
///
/// Changes that arrive while the present objects are being read are held back and shown after them, so the last thing an index hears of an object
/// is its newest state. It may hear of one state twice: an index must take its own record of the old state, not the argument, for the truth.
final class ObjectFollower: Sendable {
    private typealias Change = (old: Object?, new: Object?)
    /// Changes held back; nil once the present objects were shown.
    private let held: Mutex<[Change]?> = Mutex([])

    /// `apply` gets (nil, object) for a present or new object, (old, new) for a changed one, (old, nil) for a deleted one. It must not block.
    static func follow(_ reader: any ObjectReader, _ resource: GroupResource, _ apply: @escaping @Sendable (_ old: Object?, _ new: Object?) -> Void) {
        follow(reader, resource, reading: { _ in () }) { old, new, _ in apply(old, new) }
    }

    /// The same for an index of what `read` finds in an object: `apply` gets that of `new`, too. Of very many present objects it is read on all
    /// processors, before `apply` is called for the first.
    static func follow<Fact: Sendable>(
        _ reader: any ObjectReader, _ resource: GroupResource, reading read: @escaping @Sendable (Object) -> Fact,
        _ apply: @escaping @Sendable (_ old: Object?, _ new: Object?, _ fact: Fact?) -> Void
    ) {
        let follower = ObjectFollower()
        reader.observe(resource) { old, new in
            let isHeld = follower.held.withLock { held in
                guard held != nil else { return false }
                held?.append((old, new))
                return true
            }
            if !isHeld { apply(old, new, new.map(read)) }
        }
        let present = reader.list(resource, namespace: nil)
        for (object, fact) in zip(present, facts(of: present, read)) { apply(nil, object, fact) }
        while true {
            let batch: [Change]? = follower.held.withLock { held in
                guard let changes = held, !changes.isEmpty else {
                    held = nil
                    return nil
                }
                held = []
                return changes
            }
            guard let batch else { return }
            for change in batch { apply(change.old, change.new, change.new.map(read)) }
        }
    }

    /// So many objects are read by one processor before it looks whether there are more.
    static let share = 1024

    private static func facts<Fact: Sendable>(of objects: [Object], _ read: @Sendable (Object) -> Fact) -> [Fact] {
        guard objects.count > share else { return objects.map(read) }
        let shares = (objects.count + share - 1) / share
        let found = Mutex([[Fact]](repeating: [], count: shares))
        DispatchQueue.concurrentPerform(iterations: shares) { number in
            let facts = objects[number * share..<min(objects.count, (number + 1) * share)].map(read)
            found.withLock { $0[number] = facts }
        }
        return found.withLock { $0.flatMap { $0 } }
    }
}

/// Resources this module's code reads by name.
extension GroupResource {
    static let pods = GroupResource(group: "", resource: "pods")
    static let nodes = GroupResource(group: "", resource: "nodes")
    static let namespaces = GroupResource(group: "", resource: "namespaces")
    static let services = GroupResource(group: "", resource: "services")
    static let secrets = GroupResource(group: "", resource: "secrets")
    static let configMaps = GroupResource(group: "", resource: "configmaps")
    static let serviceAccounts = GroupResource(group: "", resource: "serviceaccounts")
    static let persistentVolumes = GroupResource(group: "", resource: "persistentvolumes")
    static let persistentVolumeClaims = GroupResource(group: "", resource: "persistentvolumeclaims")
    static let volumeAttachments = GroupResource(group: "storage.k8s.io", resource: "volumeattachments")
    static let storageClasses = GroupResource(group: "storage.k8s.io", resource: "storageclasses")
    static let csiNodes = GroupResource(group: "storage.k8s.io", resource: "csinodes")
    static let csiDrivers = GroupResource(group: "storage.k8s.io", resource: "csidrivers")
    static let leases = GroupResource(group: "coordination.k8s.io", resource: "leases")
    static let priorityClasses = GroupResource(group: "scheduling.k8s.io", resource: "priorityclasses")
    static let resourceClaims = GroupResource(group: "resource.k8s.io", resource: "resourceclaims")
    static let resourceSlices = GroupResource(group: "resource.k8s.io", resource: "resourceslices")
    static let roles = GroupResource(group: "rbac.authorization.k8s.io", resource: "roles")
    static let clusterRoles = GroupResource(group: "rbac.authorization.k8s.io", resource: "clusterroles")
    static let roleBindings = GroupResource(group: "rbac.authorization.k8s.io", resource: "rolebindings")
    static let clusterRoleBindings = GroupResource(group: "rbac.authorization.k8s.io", resource: "clusterrolebindings")
}
