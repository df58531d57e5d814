import KubeAPI
import Testing

@testable import CEL

@Suite("The package's signatures")
struct SignatureTests {
    @Test("every signature of the libraries reads")
    func signatures() {
        #expect(CELFunctions.unreadable == 0)
        #expect(CELFunctions.all["size"]?.count == 8)
        #expect(CELFunctions.all["ip.isCanonical"]?.first?.parameters == [.string])
        #expect(CELFunctions.all["containsCIDR"]?.first?.parameters == [.opaque("net.CIDR"), .string])
    }
}
