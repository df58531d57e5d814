import ContainerRuntime
import HTTPTransport
import KubeAPI
import Synchronization
import Testing

@testable import Kubelet

/// Probes by HTTP and the redirects they meet.
struct HTTPProbeTests {
    private func request(path: String = "/a/b?q=1", isTLS: Bool = false) -> HTTPProbeRequest {
        HTTPProbeRequest(host: "10.0.0.5", port: 8080, path: path, fields: ["Host": "shop.example"], isTLS: isTLS)
    }

    @Test(
        "a redirect leads where its Location says, seen from the request it answers",
        arguments: [
            ("/login", "http://10.0.0.5:8080/login", "shop.example"), ("next", "http://10.0.0.5:8080/a/next", "shop.example"),
            ("../up#part", "http://10.0.0.5:8080/up", "shop.example"), ("../../../up/.", "http://10.0.0.5:8080/up/", "shop.example"),
            ("?page=2", "http://10.0.0.5:8080/a/b?page=2", "shop.example"), ("#part", "http://10.0.0.5:8080/a/b?q=1", "shop.example"),
            ("a b\u{7f}", "http://10.0.0.5:8080/a/a%20b%7F", "shop.example"), ("https://10.0.0.5/x", "https://10.0.0.5:443/x", "10.0.0.5"),
            ("//other.example:81/x", "http://other.example:81/x", "other.example:81"), ("http://[fd00::1]:9", "http://[fd00::1]:9/", "[fd00::1]:9"),
        ])
    func redirected(location: String, url: String, host: String) {
        let next = request().redirected(to: location)
        #expect(next?.url == url && next?.fields["Host"] == host)
    }

    @Test("a Location that is no place of the web is none", arguments: ["mailto:me@example", "ftp://10.0.0.5/x", "http://", "http://h:99999/"])
    func unusable(location: String) {
        #expect(request().redirected(to: location) == nil)
    }

    /// Answers by path: `/hops/3` sends to `/hops/2` and so on, `/hops/0` is there.
    private struct Site: HTTPResponder {
        let asked = Journal()

        final class Journal: Sendable {
            private let targets = Mutex<[String]>([])
            func add(_ target: String) { targets.withLock { $0.append(target) } }
            var count: Int { targets.withLock { $0.count } }
        }

        func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
            asked.add(head.target)
            func redirect(_ location: String, _ text: String = "") -> HTTPResponse {
                HTTPResponse(status: 302, fields: ["Location": location], body: .bytes(Array(text.utf8)))
            }
            switch head.target {
            case "/hops/0": return HTTPResponse(status: 204)
            case "/broken": return redirect("/gone")
            case "/elsewhere": return redirect("http://other.example/", "moved")
            case "/nowhere": return HTTPResponse(status: 302)
            case "/mail": return redirect("mailto:me")
            default:
                guard let number = head.target.split(separator: "/").last.flatMap({ Int($0) }) else { return HTTPResponse(status: 404) }
                return redirect("\(number - 1)")
            }
        }
    }

    private func probe(_ path: String) async throws -> (outcome: ProbeOutcome, port: Int, asked: Int) {
        let site = Site()
        let server = try await HTTPServer.start(.init(address: .tcp(host: "127.0.0.1", port: 0)), responder: site)
        let pod = try Given.pod(#"{"containers":[{"name":"a","image":"i"}]}"#)
        let probe = try JSONDocument(Array(#"{"httpGet":{"path":"\#(path)","port":\#(server.port)}}"#.utf8)).root
        let actions = ProbeActions(runtime: SimulatedRuntime(), userAgent: "kube-probe/test")
        let container = try #require(pod.containers.first)
        let outcome = await actions.probe(
            probe, ProbeActions.Target(containerID: "a-0", podIP: "127.0.0.1", container: container), timeout: .seconds(5))
        await server.stop(grace: .zero)
        return (outcome, server.port, site.asked.count)
    }

    @Test("redirects on the same host are followed, and what stands at their end counts")
    func follows() async throws {
        let good = try await probe("/hops/9")
        #expect(good.outcome == .success && good.asked == 10)
        #expect(try await probe("/broken").outcome == .failure("HTTP probe failed with statuscode: 404"))
    }

    @Test("after ten requests the probe fails")
    func stops() async throws {
        let endless = try await probe("/hops/1000")
        #expect(endless.outcome == .failure("Get \"990\": stopped after 10 redirects") && endless.asked == 10)
    }

    @Test("a redirect to another host, or to no place, is a success with a warning; one that cannot be read fails")
    func elsewhere() async throws {
        #expect(try await probe("/elsewhere").outcome == .warning("Probe terminated redirects, Response body: moved"))
        #expect(try await probe("/nowhere").outcome == .warning("Probe terminated redirects, Response body: "))
        let mail = try await probe("/mail")
        #expect(mail.outcome == .failure("Get \"http://127.0.0.1:\(mail.port)/mail\": failed to parse Location header \"mailto:me\""))
    }
}
