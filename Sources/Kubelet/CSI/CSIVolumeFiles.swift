import Glibc
import KubeAPI

/// What stands on the disk of a volume of a driver, so that an agent that starts again can end it. Upstream: vol_data.json, volDataKey.
struct CSIVolumeRecord: Sendable, Equatable {
    var specName = ""
    var driver: String
    var handle: String
    /// Empty: the volume is not attached, or the record is of a staged volume.
    var attachmentID = ""
    var isEphemeral = false
    var nodeName = ""
    /// Pods have the device itself.
    var isBlock = false

    var uniqueName: String { CSINames.unique(driver: driver, handle: handle) }

    var json: [UInt8] {
        var value: Value = ["driverName": .string(driver), "volumeHandle": .string(handle)]
        if !specName.isEmpty {
            value["specVolID"] = .string(specName)
            value["nodeName"] = .string(nodeName)
            value["attachmentID"] = .string(attachmentID)
            value["volumeLifecycleMode"] = isEphemeral ? "Ephemeral" : "Persistent"
        }
        if isBlock { value["volumeMode"] = "Block" }
        return value.jsonBytes
    }

    init(
        specName: String = "", driver: String, handle: String, attachmentID: String = "", isEphemeral: Bool = false, nodeName: String = "",
        isBlock: Bool = false
    ) {
        (self.specName, self.driver, self.handle, self.attachmentID) = (specName, driver, handle, attachmentID)
        (self.isEphemeral, self.nodeName, self.isBlock) = (isEphemeral, nodeName, isBlock)
    }

    /// Nil for what is no record.
    init?(json: [UInt8]) {
        guard let root = try? JSONDocument(json).root, let driver = root["driverName"].string, let handle = root["volumeHandle"].string,
            !driver.isEmpty
        else { return nil }
        self.init(
            specName: root["specVolID"].string ?? "", driver: driver, handle: handle, attachmentID: root["attachmentID"].string ?? "",
            isEphemeral: root["volumeLifecycleMode"].string == "Ephemeral", nodeName: root["nodeName"].string ?? "",
            isBlock: root["volumeMode"].string == "Block")
    }
}

/// The folders of volumes of drivers on a node. All functions but the paths block: call them by `FileWork`.
/// Upstream: getTargetPath, makeDeviceMountPath; csi_block's getStagingPath, getPublishPath.
struct CSIVolumeFiles: Sendable {
    static let recordName = "vol_data.json"
    private static let recordLimit = 64 << 10

    let rootDirectory: String

    private var devices: String { "\(rootDirectory)/plugins/kubernetes.io/csi" }
    private func volumes(_ podUID: String) -> String { "\(rootDirectory)/pods/\(podUID)/volumes/kubernetes.io~csi" }

    /// A pod's volume: the folder of its record.
    func folder(_ podUID: String, _ specName: String) -> String { "\(volumes(podUID))/\(specName)" }
    /// Where the driver publishes it: a folder, or a file in its place for a device.
    func target(_ podUID: String, _ specName: String, isBlock: Bool) -> String {
        isBlock ? "\(devices)/volumeDevices/publish/\(specName)/\(podUID)" : "\(folder(podUID, specName))/mount"
    }
    /// The pod's own name of a device: a link to where it is published.
    func map(_ podUID: String, _ specName: String) -> String { "\(rootDirectory)/pods/\(podUID)/volumeDevices/kubernetes.io~csi/\(specName)" }
    /// A persistent volume on the node, for all its pods: the folder of its record.
    func device(_ driver: String, _ handle: String) -> String { "\(devices)/\(driver)/\(CSINames.digest(handle))" }
    /// Where the driver stages it.
    func staging(_ record: CSIVolumeRecord) -> String {
        record.isBlock ? "\(devices)/volumeDevices/staging/\(record.specName)" : "\(device(record.driver, record.handle))/globalmount"
    }

    func write(_ record: CSIVolumeRecord, in folder: String) throws(FileError) {
        try FileTree.makeDirectories(folder, mode: 0o750)
        try FileTree.write("\(folder)/\(Self.recordName)", record.json, mode: 0o600)
    }

    /// Removes a volume's folder, the record after the mount's folder, so that what cannot be removed is tried again. A folder with something in it
    /// is never removed: that may be a volume's data. Throws `FileError`.
    func remove(_ folder: String, mount: String) throws(FileError) {
        func gone(_ result: Int32, _ operation: String, _ path: String) throws(FileError) {
            if result != 0, errno != ENOENT { throw FileError(operation: operation, path: path, code: errno) }
        }
        let record = "\(folder)/\(Self.recordName)"
        // Where a device was published is no folder.
        let removed = unlink(mount)
        if removed != 0, errno == EISDIR || errno == EPERM {
            try gone(rmdir(mount), "rmdir", mount)
        } else {
            try gone(removed, "unlink", mount)
        }
        try gone(unlink(record), "unlink", record)
        try gone(rmdir(folder), "rmdir", folder)
    }

    /// Volumes of a pod. A folder without a record has nothing published.
    func records(ofPod uid: String) throws(FileError) -> [CSIVolumeRecord] {
        var found: [CSIVolumeRecord] = []
        for name in try FileTree.list(volumes(uid)) {
            guard var record = try read(folder(uid, name)) else { continue }
            // The folder's name leads back to it.
            record.specName = name
            found.append(record)
        }
        return found
    }

    /// Volumes of all pods, by the pod.
    func recordsOfPods() throws(FileError) -> [String: [CSIVolumeRecord]] {
        var found: [String: [CSIVolumeRecord]] = [:]
        for uid in try FileTree.list("\(rootDirectory)/pods") {
            let records = try records(ofPod: uid)
            if !records.isEmpty { found[uid] = records }
        }
        return found
    }

    /// Persistent volumes that are on the node, used by a pod or not.
    func recordsOfDevices() throws(FileError) -> [CSIVolumeRecord] {
        var found: [CSIVolumeRecord] = []
        for driver in try FileTree.list(devices) {
            for name in try FileTree.list("\(devices)/\(driver)") {
                if let record = try read("\(devices)/\(driver)/\(name)") { found.append(record) }
            }
        }
        return found
    }

    private func read(_ folder: String) throws(FileError) -> CSIVolumeRecord? {
        let path = "\(folder)/\(Self.recordName)"
        return FileTree.exists(path) ? CSIVolumeRecord(json: try FileTree.read(path, limit: Self.recordLimit)) : nil
    }

    /// Whether a device is published at a path.
    func isDevice(_ path: String) throws(FileError) -> Bool {
        try FileTree.status(path, follow: true).map { $0.st_mode & S_IFMT == S_IFBLK } ?? false
    }

    func isMounted(_ path: String) throws(FileError) -> Bool { try FileTree.isMountPoint(path) }
}
