import Glibc
import KubeAPI
import KubeClient

/// What the kernel knows of this process. Upstream: Prometheus' process collector.
enum ProcessMetrics {
    static func write(to text: inout MetricsText) {
        var usage = rusage()
        if getrusage(__rusage_who_t(truncatingIfNeeded: RUSAGE_SELF.rawValue), &usage) == 0 {
            let seconds =
                Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1_000_000
            text.family("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.")
            text.sample("process_cpu_seconds_total", [], seconds)
        }
        if let stat = fields("/proc/self/stat"), stat.count > 23 {
            // After the name in parentheses field 3 stands first: 22 is the start in clock ticks since boot, 23 and 24 virtual bytes and resident
            // pages.
            let rest = stat.drop { !$0.hasSuffix(")") }.dropFirst()
            let values = Array(rest)
            if values.count > 21 {
                text.family("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.")
                text.sample("process_resident_memory_bytes", [], (Int64(values[21]) ?? 0) &* Int64(sysconf(Int32(_SC_PAGESIZE))))
                text.family("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.")
                text.sample("process_virtual_memory_bytes", [], Int64(values[20]) ?? 0)
                text.family("process_start_time_seconds", "gauge", "[ALPHA] Start time of the process since unix epoch in seconds.")
                text.sample("process_start_time_seconds", [], bootTime + (Double(values[19]) ?? 0) / Double(max(1, sysconf(Int32(_SC_CLK_TCK)))))
            }
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            text.family("process_max_fds", "gauge", "Maximum number of open file descriptors.")
            text.sample("process_max_fds", [], Int64(clamping: limit.rlim_cur))
        }
        text.family("process_open_fds", "gauge", "Number of open file descriptors.")
        text.sample("process_open_fds", [], openDescriptors)
    }

    private static var bootTime: Double {
        var boot = timespec()
        var real = timespec()
        clock_gettime(CLOCK_BOOTTIME, &boot)
        clock_gettime(CLOCK_REALTIME, &real)
        return Double(real.tv_sec - boot.tv_sec)
    }

    private static var openDescriptors: Int {
        guard let folder = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // Itself, `.` and `..` are not among them.
        return max(0, count - 3)
    }

    private static func fields(_ path: String) -> [String]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return nil }
        return String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: " ").map(String.init)
    }
}
