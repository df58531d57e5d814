import KubeAPI
import KubeStorage

extension ResourceRegistry: ObjectWriter {
    func replace(_ resource: GroupResource, _ old: Object, with object: Value) async throws -> Object {
        guard let row = table[resource].first, let scope = scope(row.groupVersionResource) else { throw Responses.unknownResource }
        let stored = try ObjectPreparation.stored(object, kind: scope.storedKind)
        do {
            return try await scope.storage.replace(old, with: stored, timeToLive: scope.timeToLive)
        } catch let error as StoreError {
            switch error {
            case .conflict, .notFound, .alreadyExists: throw StatusError.staleResourceVersion(resource, old.metadata.name)
            case .unavailable(let why): throw StatusError.serviceUnavailable("storage is unavailable: \(why)")
            case .closed: throw StatusError.serviceUnavailable("the API server is shutting down")
            }
        }
    }
}
