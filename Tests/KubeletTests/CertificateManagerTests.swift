import KubeAPI
import Testing

@testable import Kubelet

@Suite struct CertificateManagerTests {
    @Test("a certificate is replaced between 70 and 90 % of its life")
    func deadline() {
        func deadline(_ jitter: Double) -> Double { CertificateManager.deadline(notBefore: 1_000, notAfter: 2_000, jitter: jitter) }
        #expect(deadline(0) == 1_700 && deadline(1) == 1_900)
    }

    @Test("a request has its certificate, waits, or is refused in the approver's words")
    func outcome() throws {
        func request(_ status: Value) throws -> Object { try Object(["metadata": ["name": "r"], "status": status]) }
        #expect(try CertificateRequester.outcome(request([:])) == nil)
        #expect(try CertificateRequester.outcome(request(["conditions": [["type": "Approved", "status": "True"]]])) == nil)
        #expect(try CertificateRequester.outcome(request(["certificate": "UEVN"])) == "PEM")
        for type in ["Denied", "Failed"] {
            let refused = try request(["conditions": [["type": .string(type), "status": "True", "message": "no"]]])
            #expect(throws: CertificateRequester.NotIssued.self) { try CertificateRequester.outcome(refused) }
        }
    }
}
