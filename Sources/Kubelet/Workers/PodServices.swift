import ContainerRuntime
import KubeAPI
import KubeClient
import Logging

/// What all pod workers of a node share.
struct PodServices: Sendable {
    let configuration: KubeletConfiguration
    let runtime: any ContainerRuntime
    let runtimeName: String
    let starts = StartGate()
    let recorder: EventRecorder
    let images: ImagePuller
    let prober: Prober
    let probeActions: ProbeActions
    let volumes: PodVolumes
    let cgroups: PodCgroups
    let memory: HostMemory
    let allocations: PodAllocations
    let shutdown: NodeShutdown
    /// Nil: no plug-ins can register.
    let devices: DeviceManager?
    /// Nil: no drivers can register.
    let csi: CSIVolumes?
    let growth: ClaimGrowth
    let volumeStatistics: VolumeStatistics
    /// Something of the node has become free: pods may wait for it.
    let roomChanged: @Sendable () -> Void
    let objects: any ReferencedObjects
    let tokens: any TokenSource
    /// All services of the cluster, for the variables that name them.
    let services: Lister
    let statuses: PodStatusWriter
    let pleg: PLEG
    /// Nil: the containers have no files.
    let logs: ContainerLogRotator?
    /// What the node is short of.
    let pressures: @Sendable () -> Set<NodePressure>
    /// Nil when pods can have networks, else why not.
    let networkProblem: @Sendable () -> String?
    let now: @Sendable () -> Timestamp
    let logger: Logger

    func event(_ pod: Pod, _ container: ContainerSpec? = nil, _ type: EventRecorder.EventType, _ reason: String, _ message: String) {
        recorder.event(regarding: ObjectReference(pod.object, fieldPath: container?.fieldPath ?? ""), type, reason: reason, message: message)
    }
}
