/// Honours where a pod's volumes are, and finds or has made volumes for claims that wait for the pod. Upstream: plugins/volumebinding.
struct VolumeBinding: FilterPlugin, ScorePlugin {
    let name = "VolumeBinding"
    let looksOnlyAtNode = false
    /// What nodes are worth by how full their storage will be; nil: nothing. Upstream: VolumeBindingArgs.Shape.
    var shape: ResourceScoring.Shape?

    private struct Filter: NodeFilter {
        var needs: VolumeNeeds

        func filter(_ node: NodeInfo) -> Rejection? {
            if needs.isVolumeMissing {
                return Rejection("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)", unresolvable: true)
            }
            if !needs.bound.allSatisfy({ $0.isUsable(on: node) }) {
                return Rejection("node(s) didn't match PersistentVolume's node affinity", unresolvable: true)
            }
            if needs.unbound.isEmpty { return nil }
            do throws(VolumeChoice.Refusal) { _ = try VolumeChoice(needs, on: node) } catch { return Rejection(error.rawValue, unresolvable: true) }
            return nil
        }
    }

    /// Scores by class: the volumes chosen, or where none is, the room for those to be made. Upstream: volumebinding's Score and buildScorerFunction.
    private struct Scorer: NodeScorer {
        var needs: VolumeNeeds
        var shape: ResourceScoring.Shape

        func score(_ node: NodeInfo) -> Int64 {
            guard let choice = try? VolumeChoice(needs, on: node) else { return 0 }  // It was filtered: it cannot be.
            let classes = choice.storage
            guard !classes.isEmpty else { return 0 }
            let sum = classes.values.reduce(Int64(0)) { $0 + shape.score(Self.percent($1)) }
            return Int64((Double(sum) / Double(classes.count)).rounded(.toNearestOrAwayFromZero))
        }

        private static func percent(_ storage: VolumeChoice.Storage) -> Int64 {
            guard storage.capacity > 0, storage.requested <= storage.capacity else { return 100 }
            return Int64(Double(storage.requested) * 100 / Double(storage.capacity))
        }
    }

    func prepareScore(_ input: CycleInput, _ places: [Int], _ cache: inout SchedulerCache) -> (any NodeScorer)? {
        guard let shape, let needs = input.volumes, !needs.unbound.isEmpty else { return nil }
        return Scorer(needs: needs, shape: shape)
    }

    func refusal(_ input: CycleInput) -> String? { input.volumes?.refusal }

    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)? { input.volumes.map { Filter(needs: $0) } }
}
