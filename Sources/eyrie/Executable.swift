import Glibc

/// This program's own file.
enum Executable {
    /// The absolute path, as the kernel knows it: links resolved, so that it holds whatever the current directory and PATH are.
    static let path: String = {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        return length > 0
            ? String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self) : CommandLine.arguments.first ?? "eyrie"
    }()

    /// Eyrie's own version and the Kubernetes version it serves.
    static let version = "0.1.0"
}
