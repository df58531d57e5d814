import KubeAPIServer
import Testing

@testable import ControlPlane

@Suite("Files of webhooks")
struct AccessWebhooksTests {
    private func text(cluster: String, user: String = "{}") -> String {
        """
        clusters:
        - name: c
          cluster: \(cluster)
        users:
        - name: u
          user: \(user)
        contexts:
        - name: x
          context: {cluster: c, user: u}
        current-context: x
        """
    }

    private func read(_ text: String, files: [String: String] = [:]) throws -> WebhookClientConfiguration? {
        try AccessWebhooks(tokenFile: text, authorizationFile: nil, read: { files[$0] }).tokens?.service
    }

    @Test("the service of the current context, its CA and the client certificate, in the file or in others")
    func reads() throws {
        let inline = try #require(try read(text(cluster: "{server: 'https://a:1/b', certificate-authority-data: Q0E=}")))
        #expect(inline.target == .url("https://a:1/b") && inline.rootsPEM == "CA" && inline.identity == nil)
        let files = try #require(
            try read(
                text(cluster: "{server: 'https://a', certificate-authority: /ca}", user: "{client-certificate: /crt, client-key: /key}"),
                files: ["/ca": "CA", "/crt": "CRT", "/key": "KEY"]))
        #expect(files.rootsPEM == "CA" && files.identity?.certificateChainPEM == "CRT" && files.identity?.privateKeyPEM == "KEY")
    }

    @Test(
        "what names no service, or asks for what is not there, is refused",
        arguments: [
            ("{", "{}"), ("{}", "{}"), ("{server: ''}", "{}"), ("{server: 'https://a', insecure-skip-tls-verify: true}", "{}"),
            ("{server: 'https://a', certificate-authority: /none}", "{}"), ("{server: 'https://a', certificate-authority-data: '%'}", "{}"),
            ("{server: 'https://a'}", "{token: t}"), ("{server: 'https://a'}", "{client-certificate-data: Q0E=}"),
        ])
    func refuses(cluster: String, user: String) {
        #expect(throws: AccessWebhookError.self) { try read(text(cluster: cluster, user: user)) }
        #expect(throws: AccessWebhookError.self) { try read("current-context: x") }
    }
}
