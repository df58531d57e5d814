internal import Crypto

/// Names that the control plane and the nodes must form alike for volumes of CSI drivers, because each side only knows the other's by them.
/// Upstream: pkg/volume/csi (csi_attacher.go, csi_plugin.go), pkg/volume/util.GetUniqueVolumeName.
package enum CSINames {
    /// The name of the VolumeAttachment of a volume on a node. Upstream: getAttachmentName.
    package static func attachment(handle: String, driver: String, node: String) -> String { "csi-" + digest(handle + driver + node) }

    /// The handle of a volume that a pod names without a claim. Upstream: makeVolumeHandle.
    package static func ephemeralHandle(podUID: String, volume: String) -> String { "csi-" + digest(podUID + volume) }

    /// The volume in a node's `volumesInUse` and `volumesAttached`. Upstream: GetUniqueVolumeName over the plug-in's GetVolumeName.
    package static func unique(driver: String, handle: String) -> String { "kubernetes.io/csi/\(driver)^\(handle)" }

    /// SHA-256 as 64 hex digits.
    package static func digest(_ text: String) -> String {
        SHA256.hash(data: Array(text.utf8)).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    /// Whether an attachment of the volume on one node leaves others free to attach it; a volume that says nothing is trusted.
    /// Upstream: util.IsMultiAttachAllowed.
    package static func allowsManyNodes(_ volume: Object) -> Bool {
        let modes = volume["spec"]["accessModes"].strings
        return modes.isEmpty || modes.contains("ReadWriteMany") || modes.contains("ReadOnlyMany")
    }
}
