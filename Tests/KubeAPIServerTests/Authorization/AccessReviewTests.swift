import KubeAPI
import Synchronization
import Testing

@testable import KubeAPIServer

@Suite("Access reviews")
struct AccessReviewTests {
    /// Notes what it is asked.
    private final class Recorder: Authorizer {
        let asked = Mutex<[AuthorizationAttributes]>([])
        func authorize(_ attributes: AuthorizationAttributes) -> AuthorizationDecision {
            asked.withLock { $0.append(attributes) }
            return .noOpinion(reason: "asked")
        }
    }

    private func review(_ spec: String, metadata: String = "{}") throws -> Object { try Object(json: "{\"metadata\":\(metadata),\"spec\":\(spec)}") }

    @Test("selectors are passed on; what cannot be understood is left out, and said")
    func selectors() async throws {
        let recorder = Recorder()
        let reviews = AccessReviews(authorizers: [recorder])
        let answer = try await reviews.subjectAccessReview(
            review(
                #"""
                {"user":"u","resourceAttributes":{"verb":"list","resource":"pods","fieldSelector":{"requirements":[
                {"key":"spec.nodeName","operator":"In","values":["n"]},{"key":"a","operator":"Exists"}]},
                "labelSelector":{"requirements":[{"key":"app","operator":"In","values":["x","y"]}]}}}
                """#))
        let asked = try #require(recorder.asked.withLock { $0.last })
        #expect(asked.fieldSelector == "spec.nodeName=n")
        #expect(asked.labelSelector == "app in (x,y)")
        #expect(asked.apiVersion == "*")
        #expect(answer[path: "status", "evaluationError"]?.string == "spec.resourceAttributes.fieldSelector partially ignored due to parse error")
        #expect(answer[path: "status", "reason"]?.string == "asked")
        #expect(answer[path: "status", "allowed"] == false)
    }

    @Test("refusals in upstream's words")
    func validation() async throws {
        let reviews = AccessReviews(authorizers: [Recorder()])
        func message(_ work: () async throws -> Value) async -> String { await failure(work)?.message ?? "" }
        #expect(
            await message { try await reviews.subjectAccessReview(try review("{}")) }
                == "SubjectAccessReview.authorization.k8s.io \"\" is invalid: [spec.resourceAttributes: Invalid value: null: exactly one of "
                + "nonResourceAttributes or resourceAttributes must be specified, spec.user: Invalid value: \"\": at least one of user or group must be "
                + "specified]")
        let local = await message {
            try await reviews.localSubjectAccessReview(
                try review(#"{"user":"u","resourceAttributes":{"namespace":"other"}}"#, metadata: #"{"namespace":"web"}"#), namespace: "web")
        }
        #expect(local.hasSuffix("spec.resourceAttributes.namespace: Invalid value: \"other\": must match metadata.namespace"))
        let named = await message {
            try await reviews.selfSubjectAccessReview(
                try review(#"{"nonResourceAttributes":{"path":"/"}}"#, metadata: #"{"name":"x"}"#), user: .anonymous)
        }
        #expect(named.contains("metadata: Invalid value") && named.hasSuffix("must be empty"))
    }

    @Test("a webhook is asked in the words of SubjectAccessReview")
    func webhook() throws {
        var attributes = AuthorizationAttributes(
            user: UserInfo(name: "u", uid: "1", groups: ["g"], extra: ["k": ["v"]]), verb: "list", apiGroup: "apps", apiVersion: "v1",
            resource: "deployments", namespace: "web")
        attributes.fieldSelector = "metadata.name=a"
        let spec = WebhookAuthorizer.review(attributes)["spec"]
        #expect(
            spec == [
                "resourceAttributes": [
                    "namespace": "web", "verb": "list", "group": "apps", "version": "v1", "resource": "deployments",
                    "fieldSelector": ["requirements": [["key": "metadata.name", "operator": "In", "values": ["a"]]]],
                ], "user": "u", "groups": ["g"], "extra": ["k": ["v"]], "uid": "1",
            ])
    }
}
