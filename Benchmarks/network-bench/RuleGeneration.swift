import Glibc

/// The number that the kernel gives a namespace's rules, one more with each transaction: who sees it change knows that the new rules hold.
/// Upstream: linux/netfilter/nf_tables.h, NFT_MSG_GETGEN.
final class RuleGeneration: Sendable {
    private static let netlink: Int32 = 16
    private static let netfilter: Int32 = 12
    private static let getGeneration: UInt8 = 16
    private static let newGeneration: UInt8 = 15
    private static let tables: UInt8 = 10
    private static let number: UInt8 = 1
    /// Between looks: a hundredth of the target.
    private static let pause = Duration.microseconds(200)

    private let descriptor: Int32

    /// Of the namespace that the caller is in. Throws `BenchError`.
    init() throws {
        descriptor = socket(Self.netlink, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), Self.netfilter)
        guard descriptor >= 0 else { throw Traffic.failure("netlink") }
    }

    deinit { close(descriptor) }

    /// Throws `BenchError` when the kernel does not say.
    func read() throws -> UInt32 {
        // nlmsghdr (length, type, flags, sequence, port), then nfgenmsg (family, version, resource).
        let question: [UInt8] = [20, 0, 0, 0, Self.getGeneration, Self.tables, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        guard send(descriptor, question, question.count, 0) == question.count else { throw Traffic.failure("netlink") }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        // The first attribute behind both headers: length, type, number.
        guard count >= 28, buffer[4] == Self.newGeneration, buffer[5] == Self.tables, buffer[22] == Self.number else {
            throw BenchError("the kernel does not tell its rules' generation")
        }
        return buffer[24..<28].reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// Returns when the rules are others than those of `generation`. Throws `BenchError` after `seconds`.
    func wait(beyond generation: UInt32, seconds: Int64 = 60) async throws {
        let deadline = Stopwatch.microseconds() + seconds * 1_000_000
        while try read() == generation {
            guard Stopwatch.microseconds() < deadline else { throw BenchError("the rules did not change within \(seconds) s") }
            try await Task.sleep(for: Self.pause)
        }
    }
}
