import Glibc

/// What this host has for a node: all of it.
struct HostSize {
    var vcpus: Int
    var memoryMiB: Int

    init() {
        vcpus = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        memoryMiB = max(1, sysconf(Int32(_SC_PHYS_PAGES)).multipliedReportingOverflow(by: sysconf(Int32(_SC_PAGESIZE))).partialValue >> 20)
    }

    #if arch(arm64)
        static let architecture = "arm64"
    #else
        static let architecture = "amd64"
    #endif
}
