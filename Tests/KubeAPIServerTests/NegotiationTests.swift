import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Content negotiation")
struct NegotiationTests {
    private func format(_ accept: String..., endpoint: AcceptedForm.Endpoint = .builtIn) -> WireFormat? {
        try? AcceptedForm.negotiate(accept, endpoint: endpoint).format  // Nil stands for 406.
    }

    @Test("the client's preference decides: quality, then the more specific, then the earlier")
    func preference() {
        #expect(format() == .json)
        #expect(format("*/*") == .json)
        #expect(format("application/*") == .json)
        #expect(format("application/vnd.kubernetes.protobuf, */*") == .protobuf)
        #expect(format("application/vnd.kubernetes.protobuf,application/json") == .protobuf)
        #expect(format("application/json;q=0.5, application/yaml") == .yaml)
        #expect(format("*/*, application/yaml") == .yaml)
        #expect(format("text/html, application/yaml;q=0.1") == .yaml)
        #expect(format("application/json;q=0.2", "application/vnd.kubernetes.protobuf;q=0.3") == .protobuf)
        #expect(format("APPLICATION/YAML") == .yaml)
    }

    @Test("what is not offered is 406 with the list of what is")
    func refused() {
        #expect(format("text/html") == nil)
        #expect(format("application/cbor") == nil)
        #expect(format("application/json;as=Table;v=v9;g=meta.k8s.io") == nil)
        #expect(format("application/json;stream=other") == nil)
        let error = #expect(throws: StatusError.self) { try AcceptedForm.negotiate(["text/html"]) }
        #expect(error?.code == 406)
        #expect(
            error?.message
                == "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf")
    }

    @Test("custom resources have no protobuf but of their metadata; errors have no tables")
    func endpoints() throws {
        let partial = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
        #expect(format("application/vnd.kubernetes.protobuf", endpoint: .custom) == nil)
        #expect(format("application/vnd.kubernetes.protobuf,application/json", endpoint: .custom) == .json)
        #expect(format(partial, endpoint: .custom) == .protobuf)
        #expect(format(partial, endpoint: .untransformed) == nil)
        #expect(format("application/json;as=Table;g=meta.k8s.io;v=v1,application/yaml", endpoint: .untransformed) == .yaml)
        let form = try AcceptedForm.negotiate([partial + ",application/json"])
        #expect(form.shape == .partialMetadata(version: "v1"))
    }

    @Test("what is only created has no tables: 406")
    func reviews() throws {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io"
        let reviews = try #require(ResourceTable.shared.rows.first { $0.resource == "selfsubjectaccessreviews" })
        let pods = try #require(ResourceTable.shared.rows.first { $0.resource == "pods" })
        #expect(format(table, endpoint: .init(reviews, subresource: "")) == nil)
        #expect(format(table + ",application/json", endpoint: .init(reviews, subresource: "")) == .json)
        #expect(format("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", endpoint: .init(reviews, subresource: "")) == .json)
        #expect(format(table, endpoint: .init(pods, subresource: "eviction")) == nil)
        #expect(format(table, endpoint: .init(pods, subresource: "")) == .json)
        #expect(format(table, endpoint: .init(pods, subresource: "status")) == .json)
    }
}
