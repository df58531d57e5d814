package import KubeAPI
import Synchronization

/// Which Service has which address and node port. Kept in memory: built from the present Services, followed by watch; the store is the truth.
/// Upstream: registry/core/service/ipallocator and portallocator.
package final class ServiceAddressAllocator: Sendable {
    /// Upstream: options.DefaultServiceNodePortRange.
    static let nodePorts: ClosedRange<Int64> = 30000...32767
    /// What was given to a request that then failed, or never came to an end, is free again after this many seconds unless a stored Service shows
    /// it in use.
    static let reservationSeconds: Int64 = 60

    /// A Service, and the one life of it that has a uid.
    struct Owner: Hashable, Sendable {
        var key: String
        var uid: String

        init(_ metadata: ObjectMeta) {
            key = metadata.key
            uid = metadata.uid
        }

        init(key: String, uid: String) {
            self.key = key
            self.uid = uid
        }
    }

    private struct Reservation {
        var owner: Owner
        /// Seen in a stored Service.
        var isConfirmed: Bool
        var since: Int64
    }

    private struct State {
        var addresses: [UInt128: Reservation] = [:]
        var ports: [Int64: Reservation] = [:]
        /// What each Service has or once reserved; the entry above tells whose it is now.
        var holdings: [Owner: (addresses: Set<UInt128>, ports: Set<Int64>)] = [:]

        mutating func set(address: UInt128, _ reservation: Reservation) {
            addresses[address] = reservation
            holdings[reservation.owner, default: ([], [])].addresses.insert(address)
        }

        mutating func set(port: Int64, _ reservation: Reservation) {
            ports[port] = reservation
            holdings[reservation.owner, default: ([], [])].ports.insert(port)
        }

        mutating func free(_ owner: Owner, where isMeant: (Reservation) -> Bool) {
            guard var held = holdings[owner] else { return }
            for offset in held.addresses {
                guard let reservation = addresses[offset], reservation.owner == owner else {
                    held.addresses.remove(offset)
                    continue
                }
                guard isMeant(reservation) else { continue }
                addresses[offset] = nil
                held.addresses.remove(offset)
            }
            for port in held.ports {
                guard let reservation = ports[port], reservation.owner == owner else {
                    held.ports.remove(port)
                    continue
                }
                guard isMeant(reservation) else { continue }
                ports[port] = nil
                held.ports.remove(port)
            }
            holdings[owner] = held.addresses.isEmpty && held.ports.isEmpty ? nil : held
        }
    }

    enum Failure: Error, Equatable {
        case allocated
        case notInRange
        case full
    }

    package let cidr: ServiceCIDR
    private let state = Mutex(State())
    private let now: @Sendable () -> Timestamp

    package init(cidr: ServiceCIDR, now: @escaping @Sendable () -> Timestamp = { .now }) {
        self.cidr = cidr
        self.now = now
    }

    /// Reads the present Services and follows them from then on.
    package func follow(_ reader: any ObjectReader) {
        ObjectFollower.follow(reader, .services) { [self] old, new in
            guard let object = new ?? old else { return }
            confirm(Owner(object.metadata), addresses: new.map(Self.addresses) ?? [], ports: new.map(Self.ports) ?? [])
        }
    }

    static func addresses(_ service: Object) -> [String] {
        let spec = service["spec"]
        guard spec["type"].string != "ExternalName" else { return [] }
        let list = spec["clusterIPs"].strings
        return (list.isEmpty ? [spec["clusterIP"].string ?? ""] : list).filter { !$0.isEmpty && $0 != "None" }
    }

    static func ports(_ service: Object) -> [Int64] {
        let spec = service["spec"]
        return (spec["ports"].elements.compactMap { $0["nodePort"]?.int } + [spec["healthCheckNodePort"].int ?? 0]).filter { $0 > 0 }
    }

    /// What the stored Service has is its own, and nothing else is.
    private func confirm(_ owner: Owner, addresses: [String], ports: [Int64]) {
        let offsets = addresses.compactMap { IPAddress($0).flatMap(cidr.offset) }
        let reservation = Reservation(owner: owner, isConfirmed: true, since: now().seconds)
        state.withLock { state in
            state.free(owner) { $0.isConfirmed }
            for offset in offsets { state.set(address: offset, reservation) }
            for port in ports { state.set(port: port, reservation) }
        }
    }

    /// Gives back everything the Service has.
    func release(_ owner: Owner) { state.withLock { $0.free(owner) { _ in true } } }

    /// Gives back what an update took and did not store.
    func releaseUnconfirmed(_ owner: Owner) { state.withLock { $0.free(owner) { !$0.isConfirmed } } }

    private func isTaken(_ reservation: Reservation?, _ time: Int64) -> Bool {
        guard let reservation else { return false }
        return reservation.isConfirmed || reservation.since &+ Self.reservationSeconds > time
    }

    /// Takes the address `text`. Throws `Failure`.
    func allocate(address text: String, for owner: Owner) throws(Failure) {
        guard let offset = IPAddress(text).flatMap(cidr.offset) else { throw .notInRange }
        let time = now().seconds
        let isFree = state.withLock { state in
            if let held = state.addresses[offset], isTaken(held, time) { return held.owner == owner }
            state.set(address: offset, Reservation(owner: owner, isConfirmed: false, since: time))
            return true
        }
        if !isFree { throw .allocated }
    }

    /// Takes a free address, at random from the part that is not set aside for addresses users choose. Throws `Failure.full`.
    /// Upstream: calculateRangeOffset: the lower band, of 16 to 256 addresses, is used only when the rest is full.
    func allocateAddress(for owner: Owner) throws(Failure) -> String {
        let size = cidr.size
        let band = size < 16 ? 0 : min(max(16, size / 16), 256)
        let time = now().seconds
        let offset = state.withLock { state -> UInt128? in
            for range in [band..<size, 0..<band] where !range.isEmpty {
                let length = range.upperBound - range.lowerBound
                let start = UInt128(UInt64.random(in: 0..<UInt64(length)))
                for step in 0..<length {
                    let offset = range.lowerBound + (start + step) % length
                    if offset == 0 || isTaken(state.addresses[offset], time) { continue }  // The first is the `kubernetes` service's.
                    state.set(address: offset, Reservation(owner: owner, isConfirmed: false, since: time))
                    return offset
                }
            }
            return nil
        }
        guard let offset else { throw .full }
        return cidr.address(offset)
    }

    /// Takes a node port; a Service may use one of its own for two protocols. Throws `Failure`.
    func allocate(port: Int64, for owner: Owner) throws(Failure) {
        guard Self.nodePorts.contains(port) else { throw .notInRange }
        let time = now().seconds
        let isFree = state.withLock { state in
            if let held = state.ports[port], isTaken(held, time) { return held.owner == owner }
            state.set(port: port, Reservation(owner: owner, isConfirmed: false, since: time))
            return true
        }
        if !isFree { throw .allocated }
    }

    /// Takes a free node port at random. Throws `Failure.full`.
    func allocatePort(for owner: Owner) throws(Failure) -> Int64 {
        let count = Int64(Self.nodePorts.count)
        let start = Int64.random(in: 0..<count)
        let time = now().seconds
        let port = state.withLock { state -> Int64? in
            for step in 0..<count {
                let port = Self.nodePorts.lowerBound + (start + step) % count
                if isTaken(state.ports[port], time) { continue }
                state.set(port: port, Reservation(owner: owner, isConfirmed: false, since: time))
                return port
            }
            return nil
        }
        guard let port else { throw .full }
        return port
    }
}
