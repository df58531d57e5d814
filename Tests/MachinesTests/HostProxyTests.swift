import Glibc
import Processes
import Testing

@testable import Machines

/// The proxy of load balancers, as far as it can be told without one.
@Suite struct HostProxyTests {
    private func temporary() -> String {
        var template = Array("/tmp/eyrie-proxy-XXXXXX".utf8CString)
        return mkdtemp(&template).map { String(cString: $0) } ?? "/tmp/eyrie-proxy"
    }

    @Test("workers are nobody in an empty directory, and parts come in order") func configuration() {
        let text = ProxyFiles(directory: "/data/clusters/demo/ingress").text(["b": "frontend b\n", "a": "frontend a\n"])
        #expect(text.hasSuffix("frontend a\n\nfrontend b\n"))
        for line in [
            "uid 65534", "gid 65534", "chroot /data/clusters/demo/ingress/empty", "crt-base /data/clusters/demo/ingress/certificates",
            "hard-stop-after 300s", "ssl-default-bind-options ssl-min-ver TLSv1.2", "mode http",
        ] { #expect(text.contains("    \(line)\n"), "\(line)") }
    }

    @Test("certificates are private, stay while a part names them, and go with it") func certificates() async throws {
        let directory = temporary()
        let files = ProxyFiles(directory: directory)
        try files.create()
        try files.add(certificates: ["u-1": "old", "u-2": "new"], of: "web")
        try files.add(certificates: ["u-2": "another"], of: "web")
        try await files.keep(["web": "crt web/u-2.pem\n"])
        #expect(files.deployed() == ["web": "crt web/u-2.pem\n"])
        #expect(SmallFile.readText("\(directory)/certificates/web/u-2.pem") == "new", "one that is in use never changes")
        #expect(SmallFile.readText("\(directory)/certificates/web/u-1.pem") == nil)
        var facts = stat()
        #expect(stat("\(directory)/certificates/web/u-2.pem", &facts) == 0 && facts.st_mode & 0o777 == 0o600)
        #expect(stat("\(directory)/parts/web.cfg", &facts) == 0 && facts.st_mode & 0o777 == 0o600)
        try await files.keep([:])
        #expect(files.deployed().isEmpty && SmallFile.readText("\(directory)/certificates/web/u-2.pem") == nil)
        try await Command.run(["rm", "-rf", directory])
    }

    @Test("a process is found again, and another of its number is not taken for it") func process() async throws {
        let directory = temporary()
        let files = ProxyFiles(directory: directory)
        #expect(files.running() == nil)
        let own = try #require(ProcessIdentity(pid: getpid()))
        try files.remember(own)
        #expect(files.running() == own)
        try files.remember(ProcessIdentity(pid: own.pid, startTime: own.startTime + 1))
        #expect(files.running() == nil)
        try SmallFile.write(files.process, Array("{}".utf8))
        #expect(files.running() == nil)
        try await Command.run(["rm", "-rf", directory])
    }

    @Test("with nothing to serve nothing runs, and nothing is left") func nothing() async throws {
        let directory = temporary()
        let proxy = HostProxy(directory: directory)
        #expect(try await proxy.deploy([:], keeping: ["never deployed"]).isEmpty)
        #expect(access(directory, F_OK) != 0)
        await proxy.end()
    }

    @Test("the kernel's table says what listens") func ports() {
        let table = ListeningPorts(
            table: """
                  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
                   0: 0900000A:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0
                   1: 0900000A:01BB 0100000A:C001 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0
                """)
        #expect(table.hasAll([("10.0.0.9", 80)]) && table.hasAll([]))
        #expect(!table.hasAll([("10.0.0.9", 443)]) && !table.hasAll([("10.0.0.8", 80)]) && !table.hasAll([("nowhere", 80)]))
    }
}
