package import AWSProtocol
import AWSServices

/// A shift of a cluster's traffic away from a zone, until it expires or is canceled. Upstream: arc-zonal-shift ZonalShiftSummary.
package struct ZonalShiftRecord: Codable, Sendable, Equatable {
    /// Upstream: arc-zonal-shift ZonalShiftStatus.
    package enum Status: String, Codable, Sendable {
        case active = "ACTIVE"
        case expired = "EXPIRED"
        case canceled = "CANCELED"
    }

    package var id: String
    package var clusterName: String
    /// As the caller named the cluster.
    package var resourceARN: String
    /// The zone's id: `usw2-az1`.
    package var awayFrom: String
    /// The zone's name: `us-west-2a`.
    package var zone: String
    package var comment: String
    /// Seconds since 1970.
    package var startTime: Double
    package var expiryTime: Double
    package var canceledAt: Double?

    package func status(at now: Double) -> Status {
        if canceledAt != nil { return .canceled }
        return now < expiryTime ? .active : .expired
    }
}

/// How long a shift lasts. Upstream: arc-zonal-shift StartZonalShiftRequest.expiresIn.
enum ZonalShiftDuration {
    /// Upstream: ARC Developer Guide, "Zonal shift": three days at most.
    private static let longest: Double = 72 * 3_600

    /// `90m`, `3h`: in seconds; nil for what is none, or lasts longer than three days.
    static func seconds(_ text: String) -> Double? {
        let unit: Double
        switch text.last {
        case "m": unit = 60
        case "h": unit = 3_600
        default: return nil
        }
        guard let count = Int(text.dropLast()), count > 0 else { return nil }
        let seconds = Double(count) * unit
        return seconds <= longest ? seconds : nil
    }
}

/// A cluster as ARC knows it. Upstream: arc-zonal-shift ManagedResourceSummary.
package struct ZonalShiftResource: Sendable {
    package var arn: String
    package var name: String
    /// The ids of the zones in which the cluster has subnets, sorted.
    package var zoneIDs: [String]
    /// Those that last.
    package var shifts: [ZonalShiftRecord]
}

/// ARC's errors. Upstream: arc-zonal-shift service model, exceptions.
package enum ZonalShiftFault {
    package static func validation(_ reason: String, _ text: String) -> AWSError {
        AWSError("ValidationException", text, status: 400, fields: ["reason": .string(reason)])
    }
    static func conflict(_ reason: String, _ text: String, shift: String) -> AWSError {
        AWSError("ConflictException", text, status: 409, fields: ["reason": .string(reason), "zonalShiftId": .string(shift)])
    }
    static func notFound(_ text: String) -> AWSError { AWSError("ResourceNotFoundException", text, status: 404) }
    package static func notImplemented(_ operation: String) -> AWSError {
        AWSError("NotImplementedException", "The operation \(operation) is not implemented by Eyrie yet.", status: 501)
    }
}

extension LifecycleTables {
    func zonalShifts(of cluster: String) -> [ZonalShiftRecord] { zonalShifts.values.filter { $0.clusterName == cluster } }

    /// The names of the zones that a cluster's traffic is kept away from. A cluster whose zonal shift was switched off stands in all of them.
    func shiftedZones(of cluster: ClusterRecord, at now: Double) -> Set<String> {
        guard cluster.zonalShiftEnabled else { return [] }
        return Set(zonalShifts(of: cluster.name).filter { $0.status(at: now) == .active }.map(\.zone))
    }
}

extension Sequence<SubnetFacts> {
    /// Those outside the zones; all when there are no others: a group that stands in one zone is not moved out of it.
    func avoiding(_ zones: Set<String>) -> [SubnetFacts] {
        let others = filter { !zones.contains($0.zone) }
        return others.isEmpty ? Array(self) : others
    }
}
