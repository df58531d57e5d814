package import KubeAPI

/// Pages of memory of other sizes than the usual, which the host has set apart. Upstream: cadvisor's HugePagesInfo, core/v1/helper's HugePage functions.
package enum HugePages {
    private static let prefix = "hugepages-"
    /// Upstream: StorageMediumHugePages, StorageMediumHugePagesPrefix.
    static let medium = "HugePages"

    /// Whether a resource is of these.
    static func isResource(_ name: String) -> Bool { name.hasPrefix(prefix) }

    /// Bytes of a page: 2 MiB of `hugepages-2Mi`; nil for what names none.
    static func size(resource name: String) -> Int64? { isResource(name) ? size(name.dropFirst(prefix.count)) : nil }

    private static func size(_ text: Substring) -> Int64? {
        guard let size = try? Quantity(String(text)).value, size > 0 else { return nil }  // No quantity is no size.
        return size
    }

    /// What the host has of each size that its kernel knows, `hugepages-2Mi` and so on, zeros too. All nodes of a host see the same pages. Blocks.
    package static func capacity(directory: String = "/sys/kernel/mm/hugepages") -> ResourceList {
        var list: ResourceList = [:]
        for size in sizes(directory: directory) {
            let count = HostFigures.number("\(directory)/hugepages-\(size / 1024)kB/nr_hugepages") ?? 0
            list[prefix + Quantity(size, .binarySI).description] = Quantity(size, .binarySI) * count
        }
        return list
    }

    /// Bytes of the pages that the kernel knows, the least first. Blocks.
    static func sizes(directory: String = "/sys/kernel/mm/hugepages") -> [Int64] {
        let names = (try? FileTree.list(directory)) ?? []  // A kernel without them.
        return names.compactMap { name in
            guard name.hasPrefix(prefix), name.hasSuffix("kB") else { return nil }
            return Int64(name.dropFirst(prefix.count).dropLast(2)).flatMap { $0 > 0 && $0 < 1 << 40 ? $0 * 1024 : nil }
        }.sorted()
    }

    /// Bytes by size of page, of a list of limits.
    static func limits(_ list: ResourceList) -> [Int64: Int64] {
        var limits: [Int64: Int64] = [:]
        for (name, amount) in list { if let size = size(resource: name) { limits[size] = max(0, amount.value) } }
        return limits
    }

    /// How cgroups and the CRI name a size: `2MB`. Upstream: HugePageUnitSizeFromByteSize.
    static func unit(_ size: Int64) -> String {
        var (left, units) = (size, ["B", "KB", "MB", "GB", "TB", "PB"][...])
        while left >= 1024, left % 1024 == 0, units.count > 1 {
            left /= 1024
            units = units.dropFirst()
        }
        return "\(left)\(units.first ?? "B")"
    }

    /// Bytes of the pages that an emptyDir of this medium has, by what the pod asks for. Throws `VolumeError`. Upstream: emptydir's
    /// getPageSizeMountOption.
    static func pageSize(medium: String, pod: Pod) throws(VolumeError) -> Int64 {
        let requests = [pod.spec["resources"]["requests"].resourceList] + (pod.containers + pod.initContainers).map(\.requests)
        let asked = Set(requests.flatMap(\.keys).compactMap(size(resource:)))
        if medium == Self.medium {
            guard asked.count < 2 else { throw VolumeError("medium: \(medium) can't be used if container requests multiple huge page sizes") }
            if let size = asked.first { return size }
        } else {
            guard medium.hasPrefix("\(Self.medium)-"), let size = size(medium.dropFirst(Self.medium.count + 1)) else {
                throw VolumeError("unknown storage medium \(medium.goQuoted)")
            }
            if asked.contains(size) { return size }
        }
        throw VolumeError("medium \(medium): hugePages storage requested, but there is no resource request for huge pages")
    }
}
