import KubeAPI
import KubeClient
import Logging

/// Lets volume attributes classes go once no claim and no volume names them. Upstream: pkg/controller/volume/vacprotection.
final class AttributesClassProtectionController: Controller {
    let name = "volumeattributesclass-protection-controller"
    static let finalizer = "kubernetes.io/vac-protection"
    private static let workers = 1
    private static let usersIndex = "attributesclasses"

    private let environment: ControllerEnvironment
    private let classes: SharedInformer
    /// Claims and volumes, which name classes.
    private let users: [(resource: GroupVersionResource, informer: SharedInformer)]
    private let queue: WorkQueue<String>

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        classes = environment.informers.informer(for: .volumeAttributesClasses)
        users = [.persistentVolumeClaims, .persistentVolumes].map { ($0, environment.informers.informer(for: $0)) }
        queue = environment.queue("vacprotection")
        let (queue, indexer) = (queue, classes.indexer)
        @Sendable func look(_ object: Object) { if Self.isConcerned(object) { queue.add(object.metadata.name) } }
        classes.addHandler(InformerHandler(added: look, updated: { look($1) }))
        for (_, informer) in users {
            informer.addIndex(Self.usersIndex) { Self.classes(of: $0) }
            @Sendable func released(_ names: [String]) { for name in names { if let object = indexer.get(name) { look(object) } } }
            informer.addHandler(
                InformerHandler(
                    updated: { old, new in
                        let kept = Self.classes(of: new)
                        released(Self.classes(of: old).filter { !kept.contains($0) })
                    }, deleted: { released(Self.classes(of: $0)) }))
        }
    }

    /// Classes that wait to go, or that came before their protection.
    private static func isConcerned(_ object: Object) -> Bool {
        object.metadata.isBeingDeleted == object.metadata.finalizers.contains(finalizer)
    }

    /// The classes that a claim wants, has or is being brought to, or that a volume has. Upstream: getPVCReferencedVACNames.
    static func classes(of user: Object) -> [String] {
        let names = [
            user["spec"]["volumeAttributesClassName"], user["status"]["currentVolumeAttributesClassName"],
            user["status"]["modifyVolumeStatus"]["targetVolumeAttributesClassName"],
        ]
        return Array(Set(names.compactMap(\.string).filter { !$0.isEmpty }))
    }

    func run() async throws {
        for informer in [classes] + users.map(\.informer) { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    private func sync(_ name: String) async throws {
        guard let object = classes.indexer.get(name), Self.isConcerned(object) else { return }
        let isBeingDeleted = object.metadata.isBeingDeleted
        if isBeingDeleted {
            for (resource, informer) in users {
                guard informer.indexer.byIndex(Self.usersIndex, name).isEmpty else { return }
                // The cache may be behind: a claim that was just made must not lose its class.
                guard try await !environment.client.list(resource).items.contains(where: { Self.classes(of: $0).contains(name) }) else { return }
            }
        }
        try await Finalizers.set(Self.finalizer, on: object, .volumeAttributesClasses, present: !isBeingDeleted, environment.client)
    }
}
