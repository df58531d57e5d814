import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let insightHandlers: [String: EKSHandler] = [
        "ListInsights": { call in
            var filter = InsightsFilter()
            filter.categories = call.input["filter"]?["categories"]?.stringArray ?? []
            filter.versions = call.input["filter"]?["kubernetesVersions"]?.stringArray ?? []
            filter.statuses = call.input["filter"]?["statuses"]?.stringArray ?? []
            let insights = try await call.service.listInsights(call.required("clusterName"), filter: filter)
            let summaries = Dictionary(insights.map { ($0.id, $0.summary) }) { first, _ in first }
            return try call.page(insights.map(\.id), as: "insights") { summaries[$0] ?? [:] }
        },
        "DescribeInsight": { call in
            ["insight": try await call.service.describeInsight(call.required("clusterName"), id: call.required("id")).json]
        },
        "StartInsightsRefresh": { call in
            let refresh = try await call.service.startInsightsRefresh(call.required("clusterName"))
            return ["message": .string(refresh.message), "status": .string(refresh.status)]
        },
        "DescribeInsightsRefresh": { call in
            let refresh = try await call.service.describeInsightsRefresh(call.required("clusterName"))
            return .compact([
                "message": .string(refresh.message), "status": .string(refresh.status), "startedAt": .double(refresh.startedAt),
                "endedAt": refresh.endedAt.map(AWSJSON.double),
            ])
        },
    ]
}

extension InsightRecord {
    /// Upstream: eks InsightSummary.
    var summary: AWSJSON { .compact(members) }

    /// Upstream: eks Insight.
    var json: AWSJSON {
        var members = members
        members["recommendation"] = .string(recommendation)
        members["resources"] = .array(
            resources.map { resource in
                .compact([
                    "insightStatus": ["status": .string(resource.status.rawValue), "reason": .string(resource.reason)],
                    "kubernetesResourceUri": resource.uri.map(AWSJSON.string), "arn": resource.arn.map(AWSJSON.string),
                ])
            })
        let addons = (addons ?? []).map { addon -> AWSJSON in
            ["name": .string(addon.name), "compatibleVersions": .strings(addon.compatibleVersions)]
        }
        members["categorySpecificSummary"] = [
            "deprecationDetails": .array(deprecations.map(\.json)), "addonCompatibilityDetails": .array(addons),
        ]
        return .compact(members)
    }

    private var members: [String: AWSJSON?] {
        [
            "id": .string(id), "name": .string(name), "category": .string(category), "kubernetesVersion": version.map(AWSJSON.string),
            "lastRefreshTime": .double(refreshedAt), "lastTransitionTime": .double(changedAt), "description": .string(description),
            "insightStatus": ["status": .string(status.rawValue), "reason": .string(reason)],
        ]
    }
}

extension InsightDeprecation {
    /// Upstream: eks DeprecationDetail.
    fileprivate var json: AWSJSON {
        let stats = clients.map { client -> AWSJSON in
            [
                "userAgent": .string(client.userAgent), "numberOfRequestsLast30Days": .integer(client.requests),
                "lastRequestTime": .double(client.lastRequest),
            ]
        }
        return ["usage": .string(usage), "clientStats": .array(stats)]
    }
}
