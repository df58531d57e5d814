import AWSProtocol
import AWSServices

/// What ARC's zonal shift does with clusters. Upstream: arc-zonal-shift; EKS User Guide, "Learn about Amazon Application Recovery Controller (ARC)
/// zonal shift in Amazon EKS".
extension EKSService {
    /// How many shifts that are over a cluster keeps.
    private static let kept = 100

    /// Begins a shift: no new pods and instances in the zone, no traffic to the endpoints there. Upstream: StartZonalShift. Throws
    /// ResourceNotFoundException, ValidationException, ConflictException.
    package func startZonalShift(_ resource: String, awayFrom: String, expiresIn: String, comment: String) async throws -> ZonalShiftRecord {
        let known = try await zonalShiftResource(resource)
        let zone = try await zone(awayFrom, of: known)
        let seconds = try Self.duration(expiresIn)
        let now = clock.now
        let record = ZonalShiftRecord(
            id: AWSIdentifier.uuid(), clusterName: known.name, resourceARN: known.arn, awayFrom: awayFrom, zone: zone, comment: comment,
            startTime: now,
            expiryTime: now + seconds)
        try await state.update { tables in
            guard try tables.cluster(known.name).zonalShiftEnabled else { throw Self.notManaged(resource) }
            let shifts = tables.zonalShifts(of: known.name)
            if let other = shifts.first(where: { $0.status(at: now) == .active }) {
                throw ZonalShiftFault.conflict(
                    "ZonalShiftAlreadyExists", "There is an active zonal shift for the resource: \(other.id)", shift: other.id)
            }
            let over = shifts.sorted { $0.startTime < $1.startTime }
            for old in over.prefix(max(0, over.count - Self.kept + 1)) { tables.zonalShifts[old.id] = nil }
            tables.zonalShifts[record.id] = record
        }
        await reconciler.wake(.cluster(known.name))
        return record
    }

    /// Changes the comment of a shift that lasts, or how long it does from now on. Upstream: UpdateZonalShift. Throws ResourceNotFoundException,
    /// ValidationException, ConflictException.
    package func updateZonalShift(_ id: String, comment: String?, expiresIn: String?) async throws -> ZonalShiftRecord {
        guard comment != nil || expiresIn != nil else {
            throw ZonalShiftFault.validation("MissingValue", "At least one of comment and expiresIn must be given")
        }
        let seconds = try expiresIn.map(Self.duration)
        return try await change(id) { record, now in
            if let comment { record.comment = comment }
            if let seconds { record.expiryTime = now + seconds }
        }
    }

    /// Ends a shift. Upstream: CancelZonalShift. Throws ResourceNotFoundException, ConflictException.
    package func cancelZonalShift(_ id: String) async throws -> ZonalShiftRecord { try await change(id) { $0.canceledAt = $1 } }

    private func change(_ id: String, _ body: @Sendable @escaping (inout ZonalShiftRecord, Double) -> Void) async throws -> ZonalShiftRecord {
        let now = clock.now
        let record = try await state.update { tables in
            guard var record = tables.zonalShifts[id] else { throw ZonalShiftFault.notFound("No zonal shift found for ID: \(id.prefix(64))") }
            guard record.status(at: now) == .active else {
                throw ZonalShiftFault.conflict(
                    "ZonalShiftStatusNotActive", "The zonal shift is \(record.status(at: now).rawValue): only an active one can be changed",
                    shift: id)
            }
            body(&record, now)
            tables.zonalShifts[id] = record
            return record
        }
        await reconciler.wake(.cluster(record.clusterName))
        return record
    }

    /// Shifts, the latest first. Nil: of any status, of all resources. Upstream: ListZonalShifts.
    package func listZonalShifts(status: String?, resource: String?) async -> [ZonalShiftRecord] {
        let now = clock.now
        return await state.read { tables in
            tables.zonalShifts.values.filter { shift in
                (status == nil || shift.status(at: now).rawValue == status) && (resource == nil || shift.resourceARN == resource)
            }.sorted { ($0.startTime, $0.id) > ($1.startTime, $1.id) }
        }
    }

    /// A cluster that may be shifted, by its ARN. Upstream: GetManagedResource. Throws ResourceNotFoundException.
    package func zonalShiftResource(_ identifier: String) async throws -> ZonalShiftResource {
        let found = await state.read { tables in
            tables.clusters.values.first { configuration.arn("cluster/\($0.name)") == identifier && $0.zonalShiftEnabled && $0.status != .deleting }
        }
        guard let cluster = found else { throw Self.notManaged(identifier) }
        return await describe(cluster)
    }

    /// All clusters that may be shifted, by name. Upstream: ListManagedResources.
    package func zonalShiftResources() async -> [ZonalShiftResource] {
        let clusters = await state.read { tables in tables.clusters.values.filter { $0.zonalShiftEnabled && $0.status != .deleting } }
        var resources: [ZonalShiftResource] = []
        for cluster in clusters.sorted(by: { $0.name < $1.name }) { resources.append(await describe(cluster)) }
        return resources
    }

    private func describe(_ cluster: ClusterRecord) async -> ZonalShiftResource {
        let now = clock.now
        let subnets = await subnets(of: cluster)
        return ZonalShiftResource(
            arn: configuration.arn("cluster/\(cluster.name)"), name: cluster.name, zoneIDs: Set(subnets.map(\.zoneID)).sorted(),
            shifts: await state.read { tables in tables.zonalShifts(of: cluster.name).filter { $0.status(at: now) == .active } })
    }

    /// Those of the control plane and of the node groups.
    private func subnets(of cluster: ClusterRecord) async -> [SubnetFacts] {
        let groups = await state.read { tables in tables.nodegroups(of: cluster.name).flatMap(\.subnetIDs) }
        return await network.subnets(Array(Set(cluster.network.subnetIDs + groups)))
    }

    private func zone(_ id: String, of resource: ZonalShiftResource) async throws -> String {
        let cluster = try await describeCluster(resource.name)
        guard let zone = await subnets(of: cluster).first(where: { $0.zoneID == id })?.zone else {
            throw ZonalShiftFault.validation(
                "InvalidAz", "The Availability Zone \(id.prefix(32)) is none of the resource's: \(resource.zoneIDs.joined(separator: ", "))")
        }
        guard resource.zoneIDs.count > 1 else {
            throw ZonalShiftFault.validation("UnsupportedAz", "The resource has no other Availability Zone than \(id)")
        }
        return zone
    }

    private static func duration(_ text: String) throws(AWSError) -> Double {
        guard let seconds = ZonalShiftDuration.seconds(text) else {
            throw ZonalShiftFault.validation("InvalidExpiresIn", "expiresIn must be from 1m to 72h")
        }
        return seconds
    }

    private static func notManaged(_ identifier: String) -> AWSError {
        ZonalShiftFault.notFound(
            "The resource \(identifier.prefix(256)) is not registered with zonal shift: enable it in the cluster's zonalShiftConfig")
    }
}
