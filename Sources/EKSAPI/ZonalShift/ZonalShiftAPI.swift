package import AWSProtocol
package import ClusterLifecycle

/// ARC's zonal shift on the wire, for clusters: what shifts a cluster whose `zonalShiftConfig` allows it. Upstream: arc-zonal-shift service model.
package struct ZonalShiftAPI: AWSService {
    package let signingNames: Set<String> = ["arc-zonal-shift"]
    package let wireProtocol = AWSWireProtocol.restJSON

    private let service: EKSService
    private let authorizer: any AWSAuthorizer
    private let pages: PaginationTokens

    /// `paginationKey` is any secret that outlives the process, so that tokens do.
    package init(service: EKSService, authorizer: any AWSAuthorizer, paginationKey: [UInt8]) {
        self.service = service
        self.authorizer = authorizer
        pages = PaginationTokens(key: paginationKey)
    }

    package func handle(_ request: AWSRequest) async throws -> AWSResponse {
        guard let (operation, parameters) = EKSModel.zonalShift.route(method: request.head.method, path: request.head.path) else {
            throw AWSError("UnknownOperationException", "There is no operation \(request.head.method) \(request.head.path.prefix(200))", status: 404)
        }
        // A resource that the body names is told of by its operation. Upstream: Service Authorization Reference, "ARC - Zonal Shift".
        let named = parameters["resourceIdentifier"] ?? (try? AWSJSON(parsing: request.body))?["resourceIdentifier"]?.stringValue
        let resource = operation.name.hasPrefix("List") ? "*" : named ?? "*"
        try await authorizer.authorize(
            request.caller, action: "\(operation.service):\(operation.name)", resource: resource, context: request.conditionContext)
        guard let handler = Self.handlers[operation.name] else { throw ZonalShiftFault.notImplemented(operation.name) }
        do {
            let input = try InputBinding.bind(operation, parameters: parameters, query: request.query, body: request.body, model: .zonalShift)
            let call = EKSCall(service: service, caller: request.caller, input: input, operation: operation.name, pages: pages)
            var response = AWSResponse.json(try await handler(call))
            if operation.name == "StartZonalShift" { response.status = 201 }
            return response
        } catch let error as AWSError where error.code == "InvalidParameterException" {
            throw ZonalShiftFault.validation(error.message.contains("nextToken") ? "InvalidToken" : "MissingValue", error.message)
        }
    }

    /// The operations that are built. Practice runs and autoshifts are AWS's own doing: there is nobody here who would begin one.
    static let handlers: [String: EKSHandler] = [
        "StartZonalShift": { call in
            try await call.service.startZonalShift(
                call.required("resourceIdentifier"), awayFrom: call.required("awayFrom"), expiresIn: call.required("expiresIn"),
                comment: call.required("comment")
            ).shift(at: call.service.now)
        },
        "UpdateZonalShift": { call in
            try await call.service.updateZonalShift(
                call.required("zonalShiftId"), comment: call.string("comment"), expiresIn: call.string("expiresIn")
            ).shift(at: call.service.now)
        },
        "CancelZonalShift": { call in
            try await call.service.cancelZonalShift(call.required("zonalShiftId")).shift(at: call.service.now)
        },
        "ListZonalShifts": { call in
            let found = await call.service.listZonalShifts(status: call.string("status"), resource: call.string("resourceIdentifier"))
            // The latest first: pages go by names, and ids have no order.
            let shifts = Dictionary(uniqueKeysWithValues: found.map { ($0.place, $0.summary(at: call.service.now)) })
            return try call.page(Array(shifts.keys), as: "items") { shifts[$0] ?? .null }
        },
        "GetManagedResource": { call in
            let resource = try await call.service.zonalShiftResource(call.required("resourceIdentifier"))
            return [
                "arn": .string(resource.arn), "name": .string(resource.name), "appliedWeights": resource.weights,
                "zonalShifts": .array(resource.shifts.map(\.inResource)), "autoshifts": [], "zonalAutoshiftStatus": "DISABLED",
            ]
        },
        "ListManagedResources": { call in
            let found = await call.service.zonalShiftResources()
            let resources = Dictionary(uniqueKeysWithValues: found.map { ($0.arn, $0.summary) })
            return try call.page(found.map(\.arn), as: "items") { resources[$0] ?? .null }
        },
        "ListAutoshifts": { _ in ["items": []] },
        "GetAutoshiftObserverNotificationStatus": { _ in ["status": "DISABLED"] },
    ]
}

extension EKSModel {
    static let zonalShift = EKSModel(ZonalShiftModelTable.text)
}

extension ZonalShiftRecord {
    private var members: [String: AWSJSON] {
        [
            "zonalShiftId": .string(id), "resourceIdentifier": .string(resourceARN), "awayFrom": .string(awayFrom), "expiryTime": .double(expiryTime),
            "startTime": .double(startTime), "comment": .string(comment),
        ]
    }

    /// Sorts the latest first.
    fileprivate var place: String {
        let left = String(Int(clamping: Int64(max(0, 1e11 - startTime) * 1_000)))
        return String(repeating: "0", count: max(0, 16 - left.utf8.count)) + left + "/" + id
    }

    /// Upstream: arc-zonal-shift ZonalShift.
    fileprivate func shift(at now: Double) -> AWSJSON { .object(members.merging(["status": .string(status(at: now).rawValue)]) { $1 }) }

    /// Upstream: arc-zonal-shift ZonalShiftSummary.
    fileprivate func summary(at now: Double) -> AWSJSON {
        .object(members.merging(["status": .string(status(at: now).rawValue), "shiftType": "ZONAL_SHIFT"]) { $1 })
    }

    /// Upstream: arc-zonal-shift ZonalShiftInResource.
    fileprivate var inResource: AWSJSON { .object(members.merging(["appliedStatus": "APPLIED", "shiftType": "ZONAL_SHIFT"]) { $1 }) }
}

extension ZonalShiftResource {
    /// A zone that is shifted away from weighs nothing.
    fileprivate var weights: AWSJSON {
        let away = Set(shifts.map(\.awayFrom))
        return .object(Dictionary(uniqueKeysWithValues: zoneIDs.map { ($0, AWSJSON.double(away.contains($0) ? 0 : 1)) }))
    }

    /// Upstream: arc-zonal-shift ManagedResourceSummary.
    fileprivate var summary: AWSJSON {
        [
            "arn": .string(arn), "name": .string(name), "availabilityZones": .strings(zoneIDs), "appliedWeights": weights,
            "zonalShifts": .array(shifts.map(\.inResource)), "autoshifts": [], "zonalAutoshiftStatus": "DISABLED", "practiceRunStatus": "DISABLED",
        ]
    }
}
