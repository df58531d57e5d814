import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let subscriptionHandlers: [String: EKSHandler] = [
        "CreateEksAnywhereSubscription": { call in
            let term = call.input["term"]
            var input = CreateAnywhereSubscriptionInput(
                name: call.required("name"), duration: term?["duration"]?.intValue ?? 0, unit: term?["unit"]?.stringValue ?? "")
            input.licenseQuantity = call.input["licenseQuantity"]?.intValue ?? 1
            input.autoRenew = call.input["autoRenew"]?.boolValue ?? false
            input.tags = call.input["tags"]?.stringMap ?? [:]
            input.token = call.token(now: call.service.now)
            return ["subscription": try await call.service.createAnywhereSubscription(input).json(now: call.service.now)]
        },
        "DescribeEksAnywhereSubscription": { call in
            ["subscription": try await call.service.describeAnywhereSubscription(call.required("id")).json(now: call.service.now)]
        },
        "ListEksAnywhereSubscriptions": { call in
            let now = call.service.now
            let all = await call.service.listAnywhereSubscriptions(statuses: call.strings("includeStatus"))
            let shown = Dictionary(all.map { ($0.id, $0.json(now: now)) }) { first, _ in first }
            return try call.page(all.map(\.id), as: "subscriptions") { shown[$0] ?? [:] }
        },
        "UpdateEksAnywhereSubscription": { call in
            let renews = call.input["autoRenew"]?.boolValue ?? false
            let record = try await call.service.updateAnywhereSubscription(call.required("id"), autoRenew: renews)
            return ["subscription": record.json(now: call.service.now)]
        },
        "DeleteEksAnywhereSubscription": { call in
            ["subscription": try await call.service.deleteAnywhereSubscription(call.required("id")).json(now: call.service.now)]
        },
    ]
}

extension AnywhereSubscriptionRecord {
    /// Upstream: eks EksAnywhereSubscription.
    func json(now: Double) -> AWSJSON {
        [
            "id": .string(id), "arn": .string(arn), "createdAt": .double(createdAt), "effectiveDate": .double(createdAt),
            "expirationDate": .double(expiration(at: now)), "licenseQuantity": .integer(licenseQuantity), "licenseType": "Cluster",
            "term": ["duration": .integer(months), "unit": "MONTHS"], "status": .string(status(at: now)), "autoRenew": .bool(autoRenew),
            "licenseArns": [], "licenses": [], "tags": .map(tags),
        ]
    }
}
