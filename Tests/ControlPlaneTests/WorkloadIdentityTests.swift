import KubeAPI
import Testing

@testable import ControlPlane

@Suite struct WorkloadIdentityTests {
    private static let identity = WorkloadIdentity(region: "us-west-2", endpointURL: "http://169.254.171.1:7443") { _, _ in true }
    private static let pod: Value = [
        "spec": [
            "initContainers": [["name": "init"]],
            "containers": [["name": "app", "env": [["name": "AWS_REGION", "value": "eu-north-1"]]], ["name": "sidecar"]],
        ]
    ]

    private func variables(_ pod: Value, _ container: String) -> [String: String] {
        let containers = (pod[path: "spec", "containers"]?.array ?? []) + (pod[path: "spec", "initContainers"]?.array ?? [])
        let found = containers.first { $0["name"]?.string == container }?["env"]?.array ?? []
        return Dictionary(found.map { ($0["name"]?.string ?? "", $0["value"]?.string ?? "") }) { first, _ in first }
    }

    @Test("a pod with an association finds the agent, a token for it, region and endpoint in every container")
    func podIdentity() {
        let pod = WorkloadIdentityInjection.podIdentity(Self.identity).applied(to: Self.pod, expiration: nil, skipping: [])
        for name in ["init", "app", "sidecar"] {
            let found = variables(pod, name)
            #expect(found["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://169.254.170.23/v1/credentials")
            #expect(
                found["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]
                    == "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token")
            #expect(found["AWS_STS_REGIONAL_ENDPOINTS"] == "regional" && found["AWS_ENDPOINT_URL"] == "http://169.254.171.1:7443")
        }
        #expect(variables(pod, "app")["AWS_REGION"] == "eu-north-1" && variables(pod, "app")["AWS_DEFAULT_REGION"] == nil)
        #expect(variables(pod, "init")["AWS_REGION"] == "us-west-2")
        let volume = pod[path: "spec", "volumes"]?.array?.first
        #expect(volume?["name"] == "eks-pod-identity-token")
        let token = volume?[path: "projected", "sources"]?.array?.first?["serviceAccountToken"]
        #expect(token == ["audience": "pods.eks.amazonaws.com", "expirationSeconds": 86400, "path": "eks-pod-identity-token"])
    }

    @Test("a pod of an IPv6 cluster finds the agent by IPv6") func ipv6() {
        var identity = Self.identity
        identity.isIPv6 = true
        let pod = WorkloadIdentityInjection.podIdentity(identity).applied(to: Self.pod, expiration: nil, skipping: [])
        #expect(variables(pod, "app")["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://[fd00:ec2::23]/v1/credentials")
    }

    @Test("doing it again changes nothing, and what a container says itself stands")
    func again() {
        let injection = WorkloadIdentityInjection.podIdentity(Self.identity)
        let once = injection.applied(to: Self.pod, expiration: nil, skipping: [])
        #expect(injection.applied(to: once, expiration: nil, skipping: []) == once)
        let own: Value = ["spec": ["containers": [["name": "app", "env": [["name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://x"]]]]]]
        let found = variables(injection.applied(to: own, expiration: nil, skipping: []), "app")
        #expect(found["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://x" && found["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] == nil)
    }

    @Test("the annotations of a service account say role, audience, expiration and endpoints")
    func webIdentity() {
        let annotations = ["e/audience": "other", "e/token-expiration": "60", "e/sts-regional-endpoints": "false"]
        let injection = WorkloadIdentityInjection.webIdentity(Self.identity, role: "arn:r", annotations) { "e/\($0)" }
        let pod = injection.applied(to: Self.pod, expiration: nil, skipping: ["sidecar"])
        let found = variables(pod, "app")
        #expect(found["AWS_ROLE_ARN"] == "arn:r")
        #expect(found["AWS_WEB_IDENTITY_TOKEN_FILE"] == "/var/run/secrets/eks.amazonaws.com/serviceaccount/token")
        #expect(found["AWS_STS_REGIONAL_ENDPOINTS"] == nil && variables(pod, "sidecar").isEmpty)
        func token(_ pod: Value) -> Value? {
            pod[path: "spec", "volumes"]?.array?.first?[path: "projected", "sources"]?.array?.first?["serviceAccountToken"]
        }
        #expect(token(pod) == ["audience": "other", "expirationSeconds": 3600, "path": "token"], "an hour is the shortest")
        let own = injection.applied(to: Self.pod, expiration: "7200", skipping: [])
        #expect(token(own)?["expirationSeconds"] == 7200, "the pod's annotation wins")
    }
}
