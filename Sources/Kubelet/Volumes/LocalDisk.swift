import KubeAPI

/// A claim's volume that is a block device of the node, or a file that a loop device makes one. Upstream: pkg/volume/local with volumeMode Block, and
/// with a block device to format and mount.
struct LocalDisk: Sendable, Equatable {
    /// The PersistentVolume's name.
    var name: String
    var path: String
    /// Containers have the device itself, not files on it.
    var isBlock: Bool
    var fsType: String
    var mountOptions: [String] = []
    /// Bytes that the volume has grown to without the node's part; nil: it has not.
    var missingBytes: Int64?

    private var isExtended: Bool { ["ext2", "ext3", "ext4"].contains(fsType) }

    /// What is to be done with a device before it is mounted, by what `blkid` told of it. Throws `VolumeError` for a device with something else on it.
    /// Upstream: formatAndMountSensitive with GetDiskFormat.
    func preparation(of device: String, found: String, code: Int32) throws(VolumeError) -> [LocalDiskStep] {
        // Nothing known is on it.
        if code == 2 {
            // Zeroing the tables is left to the kernel, for later.
            let options = isExtended ? ["-F", "-m0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"] : fsType == "xfs" ? ["-f"] : []
            return [.run(["mkfs.\(fsType)", "-q"] + options + [device])]
        }
        guard code == 0 else { throw VolumeError("cannot tell what is on \(device): blkid ended with code \(code)") }
        let fields = Dictionary(
            found.split(separator: "\n").compactMap { line -> (String, String)? in
                guard let sign = line.firstIndex(of: "=") else { return nil }
                return (String(line[..<sign]), String(line[line.index(after: sign)...]))
            }
        ) { first, _ in first }
        guard let type = fields["TYPE"], !type.isEmpty else { throw VolumeError("\(device) has unknown data, probably partitions") }
        guard type == fsType else { throw VolumeError("\(device) is formatted with \(type), not \(fsType)") }
        guard isExtended else { return [] }
        guard missingBytes != nil else { return [.check(["e2fsck", "-p", device])] }
        return [.check(["e2fsck", "-f", "-p", device]), .run(["resize2fs", device])]
    }

    /// What makes the file system as large as its device while it is mounted; nil: the type cannot, or it is not known here.
    func growing(_ device: String, mountedAt target: String) -> [String]? {
        isExtended ? ["resize2fs", device] : fsType == "xfs" ? ["xfs_growfs", target] : nil
    }
}

extension LocalDisk {
    private static let defaultFSType = "ext4"

    /// Nil for a volume that is not local. Throws `VolumeError` for names and types that are none.
    init?(_ claimed: ClaimedVolume) throws(VolumeError) {
        let spec = claimed.persistent["spec"]
        guard let source = spec["local"], !source.isNull else { return nil }
        name = try PodVolumes.checked(claimed.persistent.metadata.name)
        path = source["path"].string ?? ""
        isBlock = claimed.isBlock
        let type = source["fsType"].string ?? ""
        // It is part of a program's name.
        guard type.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 || $0 >= 0x61 && $0 <= 0x7A }) else {
            throw VolumeError("file system type \(type.goQuoted) is not valid")
        }
        fsType = type.isEmpty ? Self.defaultFSType : type
        mountOptions = spec["mountOptions"].strings
        missingBytes = claimed.missingBytes
    }
}

/// A program to run on a device before it is mounted.
enum LocalDiskStep: Sendable, Equatable {
    /// Must succeed.
    case run([String])
    case check([String])

    /// What came of a check that ended with another code than 0.
    enum Verdict: Sendable, Equatable { case corrected, impossible, damaged }

    /// By the bits of fsck's code: errors corrected, and errors left; with any other the check did not take place, which is no reason not to mount.
    /// Upstream: fsckErrorsCorrected, fsckErrorsUncorrected.
    static func verdict(_ code: Int32) -> Verdict {
        guard code > 0, code < 128 else { return .impossible }
        return code & 4 != 0 ? .damaged : code & 8 != 0 ? .impossible : .corrected
    }
}
