internal import KubeAPI
internal import Processes

#if canImport(Glibc)
    internal import Glibc
#endif

/// Which pod holds which of the node's secondary addresses: a small file in the machine's directory, changed under a lock of its own. The addresses
/// are those the instance's network interfaces hold in the subnet, so a pod's address is an address of the VPC. Upstream: amazon-vpc-cni-k8s
/// ipamd's data store.
package struct AddressPool: Sendable {
    /// Seconds for which a freed address is not given out again, so that peers forget the old pod. Upstream: ipamd's addressCoolingPeriod.
    package static let coolingSeconds: Int64 = 30

    package var path: String
    package var addresses: [String]

    package init(path: String, addresses: [String]) {
        self.path = path
        self.addresses = addresses
    }

    /// The first addresses of a range, without the network's own: more than a node has pods. Nil for a text that is no range.
    init?(path: String, range: String) {
        guard let range = IPRange(range) else { return nil }
        let bits = (range.isIPv6 ? 128 : 32) - range.length
        let count = bits < 10 ? (UInt128(1) << UInt128(bits)) - 1 : Self.rangeLimit
        let offsets = count > 0 ? UInt128(1)...count : UInt128(0)...0
        self.init(path: path, addresses: offsets.map { IPAddress(number: range.network.number &+ $0, isIPv6: range.isIPv6).description })
    }

    /// Upstream: a kubelet's largest recommended maxPods is 250; addresses cool down for a while.
    private static let rangeLimit: UInt128 = 1_000

    package enum Failure: Error, CustomStringConvertible {
        case exhausted(Int)
        case lock(String)
        package var description: String {
            switch self {
            case .exhausted(let count): "all \(count) pod addresses of this instance are in use: use a larger instance type or more nodes"
            case .lock(let path): "cannot lock \(path)"
            }
        }
    }

    /// The address of `owner` (container id and interface), given out now or before. Throws `Failure`, `CommandError`.
    package func assign(owner: String, now: Int64) throws -> String {
        try locked { state in
            if let held = state.owners.first(where: { $0.value == owner }) { return held.key }
            // The one that has been free longest; one still cooling only when nearly all are in use.
            let free = addresses.filter { state.owners[$0] == nil }
            let cooled = free.filter { now - (state.freed[$0] ?? 0) >= Self.coolingSeconds }
            guard let choice = (cooled.isEmpty ? free : cooled).min(by: { (state.freed[$0] ?? 0, $0) < (state.freed[$1] ?? 0, $1) }) else {
                throw Failure.exhausted(addresses.count)
            }
            state.owners[choice] = owner
            return choice
        }
    }

    /// Gives back what `owner` holds and returns it; nothing to do is no error, as the CNI specification asks.
    package func release(owner: String, now: Int64) throws -> String? {
        try locked { state in
            guard let held = state.owners.first(where: { $0.value == owner })?.key else { return nil }
            state.owners[held] = nil
            state.freed[held] = now
            return held
        }
    }

    package func holder(of owner: String) throws -> String? { try locked { state in state.owners.first { $0.value == owner }?.key } }

    private struct State {
        var owners: [String: String] = [:]
        var freed: [String: Int64] = [:]
    }

    private func locked<R>(_ change: (inout State) throws -> R) throws -> R {
        let lock = open("\(path).lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0, flock(lock, LOCK_EX) == 0 else { throw Failure.lock(path) }
        defer { close(lock) }
        var state = State()
        if let bytes = SmallFile.read(path) {
            let root = try JSONDocument(bytes).root
            state.owners = root["owners"].stringMap
            if let freed = root["freed"] { for (address, time) in freed.members { state.freed[address] = time.int ?? 0 } }
        }
        let before = (state.owners, state.freed)
        let result = try change(&state)
        if before != (state.owners, state.freed) {
            let freed = Members(state.freed.sorted { $0.key < $1.key }.map { ($0.key, Value.int($0.value)) })
            let bytes = Value.object(Members([("owners", Value(state.owners)), ("freed", .object(freed))])).jsonBytes
            try keep(bytes)
        }
        return result
    }

    /// An address must come back from a full disk too: the pod that filled it does not end otherwise. What is left is shorter then.
    private func keep(_ bytes: [UInt8]) throws(CommandError) {
        do {
            try SmallFile.write(path, bytes)
        } catch {
            guard error.code == -ENOSPC || error.code == -EDQUOT else { throw error }
            try SmallFile.overwrite(path, bytes)
        }
    }
}
