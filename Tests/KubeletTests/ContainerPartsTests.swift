import ContainerRuntime
import Glibc
import KubeAPI
import Testing

@testable import Kubelet

/// Objects that pods name, from a dictionary.
struct GivenObjects: ReferencedObjects {
    var configMaps: [String: String] = [:]
    var secrets: [String: String] = [:]
    var claims: [String: String] = [:]
    var volumes: [String: String] = [:]

    func configMap(namespace: String, name: String) async throws -> Object {
        guard let text = configMaps[name] else { throw StatusError.notFound(GroupResource(group: "", resource: "configmaps"), name) }
        return try Object(json: text)
    }
    func secret(namespace: String, name: String) async throws -> Object {
        guard let text = secrets[name] else { throw StatusError.notFound(GroupResource(group: "", resource: "secrets"), name) }
        return try Object(json: text)
    }
    func persistentVolumeClaim(namespace: String, name: String) async throws -> Object {
        guard let text = claims[name] else { throw StatusError.notFound(GroupResource(group: "", resource: "persistentvolumeclaims"), name) }
        return try Object(json: text)
    }
    func persistentVolume(name: String) async throws -> Object {
        guard let text = volumes[name] else { throw StatusError.notFound(GroupResource(group: "", resource: "persistentvolumes"), name) }
        return try Object(json: text)
    }
    func runtimeClass(name: String) async throws -> Object {
        throw StatusError.notFound(GroupResource(group: "node.k8s.io", resource: "runtimeclasses"), name)
    }
}

struct ClaimedVolumeTests {
    private static let claim = #"{"metadata":{"name":"c","namespace":"default","uid":"1"},"spec":{"volumeName":"v"},"status":{"phase":"Bound"}}"#

    private func resolve(_ objects: GivenObjects) async throws -> Value? {
        let pod = try Given.pod(#"{"containers":[{"name":"a","image":"i"}],"volumes":[{"name":"data","persistentVolumeClaim":{"claimName":"c"}}]}"#)
        let volume = try #require(pod.volumes.first)
        return try await ClaimedVolume(volume, pod: pod, objects: objects)?.volume.value
    }

    @Test("a claim leads to its volume's source")
    func bound() async throws {
        let volume = #"{"metadata":{"name":"v"},"spec":{"claimRef":{"uid":"1"},"local":{"path":"/x"}}}"#
        let found = try await resolve(GivenObjects(claims: ["c": Self.claim], volumes: ["v": volume]))
        #expect(found == ["name": "data", "local": ["path": "/x"]])
    }

    @Test("a claim that is not bound, or whose volume is another's, keeps the pod waiting")
    func unbound() async throws {
        let pending = #"{"metadata":{"name":"c","namespace":"default","uid":"1"},"spec":{},"status":{"phase":"Pending"}}"#
        await #expect(throws: VolumeError("error processing PVC default/c: PVC is not bound")) {
            try await resolve(GivenObjects(claims: ["c": pending]))
        }
        let other = #"{"metadata":{"name":"v"},"spec":{"claimRef":{"uid":"2"},"local":{"path":"/x"}}}"#
        await #expect(throws: VolumeError("PV v is not bound to PVC default/c")) {
            try await resolve(GivenObjects(claims: ["c": Self.claim], volumes: ["v": other]))
        }
        let nfs = #"{"metadata":{"name":"v"},"spec":{"claimRef":{"uid":"1"},"nfs":{"path":"/x","server":"s"}}}"#
        await #expect(throws: VolumeError("persistent volumes of type nfs are not implemented by Eyrie yet")) {
            try await resolve(GivenObjects(claims: ["c": Self.claim], volumes: ["v": nfs]))
        }
    }
}

struct EnvironmentTests {
    @Test(
        "references are expanded as upstream does",
        arguments: [
            ("$(A)-$(B)", "1-$(B)"), ("$$(A)", "$(A)"), ("$(A", "$(A"), ("x$", "x$"), ("$A $(A)", "$A 1"), ("$$$(A)", "$1"), ("", ""),
        ])
    func expansion(text: String, expected: String) {
        #expect(Expansion.expand(text) { $0 == "A" ? "1" : nil } == expected)
    }

    @Test("variables come from services, envFrom, fields and keys, and later ones see earlier ones")
    func environment() async throws {
        let pod = try Given.pod(
            #"""
            {"nodeName":"n1","containers":[{"name":"a","image":"i","resources":{"limits":{"cpu":"1500m","memory":"1Gi"}},
              "envFrom":[{"prefix":"P_","configMapRef":{"name":"c"}}],
              "env":[{"name":"X","value":"1"},{"name":"Y","value":"$(X)/$(WEB_SERVICE_HOST)/$(NONE)"},
                {"name":"IP","valueFrom":{"fieldRef":{"fieldPath":"status.podIP"}}},
                {"name":"CPU","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu"}}},
                {"name":"MEM","valueFrom":{"resourceFieldRef":{"resource":"limits.memory","divisor":"1Mi"}}},
                {"name":"S","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}},
                {"name":"O","valueFrom":{"configMapKeyRef":{"name":"gone","key":"k","optional":true}}}]}]}
            """#)
        let services = try [
            Object(
                json:
                    #"{"metadata":{"name":"web","namespace":"default"},"spec":{"clusterIP":"10.9.0.1","ports":[{"name":"http","port":80,"protocol":"TCP"}]}}"#
            ),
            Object(json: #"{"metadata":{"name":"other","namespace":"elsewhere"},"spec":{"clusterIP":"10.9.0.2","ports":[{"port":80}]}}"#),
        ]
        let objects = GivenObjects(configMaps: ["c": #"{"data":{"k":"v","b=d":"w"}}"#], secrets: ["s": #"{"data":{"k":"c2VzYW1l"}}"#])
        let fields = FieldReferences(pod: pod, podIPs: ["10.0.0.5"])
        let (made, skipped) = try await Environment.make(pod: pod, container: pod.containers[0], services: services, fields: fields, objects: objects)
        #expect(made["P_k"] == "v" && made["Y"] == "1/10.9.0.1/$(NONE)" && made["IP"] == "10.0.0.5" && made["S"] == "sesame" && made["O"] == nil)
        #expect(made["CPU"] == "2" && made["MEM"] == "1024")
        #expect(made["WEB_SERVICE_PORT_HTTP"] == "80" && made["WEB_PORT_80_TCP_ADDR"] == "10.9.0.1" && made["OTHER_SERVICE_HOST"] == nil)
        #expect(skipped == [Environment.Skipped(source: "ConfigMap default/c", names: ["b=d"])])
    }

    @Test("a missing object or key is told as kubelet tells it")
    func missing() async throws {
        for (reference, text) in [
            (#"{"configMapKeyRef":{"name":"gone","key":"k"}}"#, "configmap \"gone\" not found"),
            (#"{"configMapKeyRef":{"name":"c","key":"k"}}"#, "couldn't find key k in ConfigMap default/c"),
            (#"{"secretKeyRef":{"name":"gone","key":"k"}}"#, "secret \"gone\" not found"),
        ] {
            let pod = try Given.pod(#"{"containers":[{"name":"a","image":"i","env":[{"name":"X","valueFrom":\#(reference)}]}]}"#)
            await #expect(throws: ContainerConfigError(text)) {
                try await Environment.make(
                    pod: pod, container: pod.containers[0], services: [], fields: FieldReferences(pod: pod),
                    objects: GivenObjects(configMaps: ["c": #"{"data":{}}"#]))
            }
        }
    }

    @Test("runAsNonRoot refuses root, in upstream's words")
    func nonRoot() throws {
        let pod = try Given.pod(#"{"securityContext":{"runAsNonRoot":true},"containers":[{"name":"a","image":"i"}]}"#)
        let settings = SecuritySettings(pod: pod, container: pod.containers[0])
        #expect(throws: ContainerConfigError("container has runAsNonRoot and image will run as root (pod: \"web_default(u1)\", container: a)")) {
            try settings.containerSecurity(image: RuntimeImage(id: "x", tags: [], digests: [], size: 0, uid: 0))
        }
        #expect(try settings.containerSecurity(image: RuntimeImage(id: "x", tags: [], digests: [], size: 0, uid: 7)).runAsUser == 7)
    }

    @Test("resolv.conf follows the dnsPolicy")
    func dns() throws {
        let resolver = "nameserver 1.1.1.1\nsearch corp.example\noptions timeout:1\n"
        func make(_ spec: String) throws -> RuntimeDNSConfig {
            PodDNS.make(pod: try Given.pod(spec), clusterDNS: ["10.9.0.10"], clusterDomain: "cluster.local", resolver: resolver)
        }
        let first = try make(#"{"dnsPolicy":"ClusterFirst"}"#)
        #expect(first.servers == ["10.9.0.10"] && first.options == ["ndots:5"])
        #expect(first.searches == ["default.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example"])
        #expect(try make(#"{"dnsPolicy":"ClusterFirst","hostNetwork":true}"#).servers == ["1.1.1.1"])
        let none = try make(#"{"dnsPolicy":"None","dnsConfig":{"nameservers":["9.9.9.9"],"options":[{"name":"ndots","value":"2"}]}}"#)
        #expect(none == RuntimeDNSConfig(servers: ["9.9.9.9"], searches: [], options: ["ndots:2"]))
    }

    @Test(
        "image references are spelled out",
        arguments: [
            ("nginx", "docker.io/library/nginx:latest"), ("nginx:1.15", "docker.io/library/nginx:1.15"), ("a/b", "docker.io/a/b:latest"),
            ("localhost:5000/a:1", "localhost:5000/a:1"), ("quay.io/x/y", "quay.io/x/y:latest"), ("UPPER", nil), ("a b", nil), ("", nil), ("a:", nil),
        ])
    func references(text: String, expected: String?) {
        #expect(ImageReference(text)?.description == expected)
    }

    @Test("pull secrets match the image's registry, the most particular first")
    func credentials() throws {
        var credentials = PullCredentials()
        let config =
            #"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"},"quay.io":{"username":"q","password":"1"},"quay.io/team":{"username":"t","password":"2"}}}"#
        credentials.add(secret: try Object(json: #"{"data":{".dockerconfigjson":"\#(Base64.encode(Array(config.utf8)))"}}"#))
        #expect(credentials.matching(try #require(ImageReference("nginx"))).map(\.username) == ["u"])
        #expect(credentials.matching(try #require(ImageReference("quay.io/team/x"))).map(\.username) == ["t", "q"])
        #expect(credentials.matching(try #require(ImageReference("ghcr.io/x/y"))).isEmpty)
    }
}

struct ContainerLogTests {
    private let log = Array(
        """
        2026-01-01T00:00:01.000000001Z stdout F first
        2026-01-01T00:00:02.000000001Z stderr P sec
        2026-01-01T00:00:02.000000002Z stderr F ond
        2026-01-01T00:00:03.000000001Z stdout F third

        """.utf8)

    private func read(_ options: ContainerLogOptions, piece: Int = 1000) -> String {
        var filter = ContainerLogFilter(options)
        var out: [UInt8] = []
        var at = 0
        while at < log.count {
            out += filter.take(log[at..<min(at + piece, log.count)])
            at += piece
        }
        return String(decoding: out, as: UTF8.self)
    }

    @Test("lines are joined from their parts, however the file is cut", arguments: [1, 7, 1000])
    func joins(piece: Int) {
        #expect(read(ContainerLogOptions(), piece: piece) == "first\nsecond\nthird\n")
    }

    @Test("timestamps, since, stream and limits are kept")
    func options() {
        var options = ContainerLogOptions()
        options.timestamps = true
        options.since = Timestamp(rfc3339: "2026-01-01T00:00:02Z")
        #expect(read(options) == "2026-01-01T00:00:02.000000001Z second\n2026-01-01T00:00:03.000000001Z third\n")
        options = ContainerLogOptions()
        options.stream = "Stdout"
        #expect(read(options) == "first\nthird\n")
        options.limitBytes = 4
        #expect(read(options, piece: 3) == "firs")
    }

    @Test("the tail begins at the n-th line from the end")
    func tail() throws {
        try withDirectory { (directory: String) throws -> Void in
            let path = directory + "/0.log"
            try FileTree.write(path, log)
            #expect(String(decoding: try LogReader.tail(path, lines: 1), as: UTF8.self) == "third\n")
            #expect(String(decoding: try LogReader.tail(path, lines: 100), as: UTF8.self) == "first\nsecond\nthird\n")
            #expect(try LogReader.tail(path, lines: 0).isEmpty)
        }
    }

    @Test("a broken line is passed over")
    func broken() {
        #expect(ContainerLogLine(Array("nonsense".utf8)[...]) == nil)
        #expect(ContainerLogLine(Array("t stdlog F x".utf8)[...]) == nil)
    }
}

/// A folder for one test.
func withDirectory(_ body: (String) throws -> Void) throws {
    var template = Array("/tmp/kubelet-unit-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw FileError(operation: "mkdtemp", path: "/tmp", code: errno) }
    let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { try? FileTree.removeAll(directory) }  // What is left of a failed test is in /tmp.
    try body(directory)
}

struct VolumeTests {
    @Test("a volume in memory is no larger than its pod may be, and no pod larger than all together")
    func memorySize() throws {
        func size(_ volume: String, _ spec: String, allocatable: Int64? = 1 << 30) throws -> Int64? {
            let pod = try Given.pod("{\(spec),\"volumes\":[{\"name\":\"v\",\"emptyDir\":\(volume)}]}")
            return PodVolumes.memorySize(try #require(pod.volumes.first?["emptyDir"]), pod: pod, allocatable: allocatable)
        }
        func containers(_ limits: String?...) -> String {
            let list = limits.enumerated().map { index, limit in
                let resources = limit.map { #","resources":{"limits":{"memory":"\#($0)"}}"# } ?? ""
                return #"{"name":"c\#(index)","image":"i"\#(resources)}"#
            }
            return #""containers":[\#(list.joined(separator: ","))]"#
        }
        let memory = #"{"medium":"Memory"}"#
        let small = #"{"medium":"Memory","sizeLimit":"1Mi"}"#
        #expect(try size(memory, containers(nil)) == 1 << 30)
        #expect(try size(memory, containers(nil), allocatable: nil) == nil)
        #expect(try size(memory, containers("10Mi", "6Mi")) == 16 << 20)
        #expect(try size(memory, containers("10Mi", nil)) == 1 << 30, "a container without a limit")
        #expect(try size(memory, #""resources":{"limits":{"memory":"8Mi"}},"# + containers("10Mi", nil)) == 8 << 20)
        #expect(try size(small, containers("10Mi")) == 1 << 20)
        #expect(try size(small, containers("512Ki")) == 512 << 10)
        #expect(try size(#"{"medium":"Memory","sizeLimit":"0"}"#, containers("2Gi")) == 1 << 30)
    }

    @Test("files of a volume are replaced all at once, and stale ones go")
    func atomicWriter() throws {
        try withDirectory { (directory: String) throws -> Void in
            let one = ["a": VolumeFile(data: [1], mode: 0o600), "dir/b": VolumeFile(data: [2], mode: 0o644)]
            #expect(try AtomicWriter.write(one, to: directory, now: Given.now))
            let first = FileTree.readLink(directory + "/..data")
            #expect(try FileTree.read(directory + "/dir/b") == [2])
            #expect(FileTree.readLink(directory + "/a") == "..data/a")
            #expect(try FileTree.status(directory + "/a", follow: true)?.st_mode == S_IFREG | 0o600)
            #expect(try !AtomicWriter.write(one, to: directory, now: Given.now.adding(seconds: 1)))
            #expect(FileTree.readLink(directory + "/..data") == first)
            #expect(try AtomicWriter.write(["a": VolumeFile(data: [3], mode: 0o600)], to: directory, now: Given.now.adding(seconds: 2)))
            #expect(try FileTree.read(directory + "/a") == [3])
            #expect(try FileTree.list(directory).filter { !$0.hasPrefix("..") } == ["a"])
            #expect(try FileTree.list(directory).count == 3)
        }
    }

    @Test("paths that leave the volume are refused", arguments: ["/a", "../a", "a/../b", "..data", "", "a//b"])
    func paths(path: String) {
        #expect(!AtomicWriter.isValid(path))
    }

    @Test("a subPath cannot leave its volume by a link")
    func subPath() throws {
        try withDirectory { (directory: String) throws -> Void in
            let volume = directory + "/volume"
            try FileTree.makeDirectories(volume + "/in")
            symlink("/etc", volume + "/out")
            symlink("in", volume + "/alias")
            let volumes = PodVolumes(rootDirectory: directory, mounts: false)
            let pod = try Given.pod("{}")
            func path(_ subPath: String) throws -> String {
                try volumes.subPath(subPath, volume: volume, volumeName: "v", pod: pod, container: "c", index: 0)
            }
            #expect(try path("in") == volume + "/in")
            #expect(try path("new/deep") == volume + "/new/deep" && FileTree.exists(volume + "/new/deep"))
            _ = try path("alias")
            #expect(throws: VolumeError.self) { try path("out/passwd") }
            #expect(throws: VolumeError.self) { try path("../x") }
        }
    }

    @Test(
        "the folders of a subPath that is not there get the mode of the volume, sticky and set-group bits and all",
        arguments: [0o777, 0o2775, 0o1777])
    func subPathMode(mode: mode_t) throws {
        try withDirectory { (directory: String) throws -> Void in
            let volume = directory + "/volume"
            try FileTree.makeDirectories(volume, mode: mode)
            try FileTree.makeDirectories(volume + "/there", mode: 0o700)
            let volumes = PodVolumes(rootDirectory: directory, mounts: false)
            let pod = try Given.pod(#"{"securityContext":{"fsGroup":2000}}"#)
            _ = try volumes.subPath("there/new/deep", volume: volume, volumeName: "v", pod: pod, container: "c", index: 0)
            for path in ["there/new", "there/new/deep"] {
                #expect(try FileTree.status("\(volume)/\(path)")?.st_mode == S_IFDIR | mode, "\(path)")
            }
            #expect(try FileTree.status(volume + "/there")?.st_mode == S_IFDIR | 0o700, "what was there stays as it is")
        }
    }

    @Test("hostPath types are checked in upstream's words")
    func hostPath() throws {
        try withDirectory { (directory: String) throws -> Void in
            let volumes = PodVolumes(rootDirectory: directory, mounts: false)
            let pod = try Given.pod("{}")
            func set(_ path: String, _ type: String) throws -> String {
                let volume = try JSONDocument(Array(#"{"name":"v","hostPath":{"path":"\#(path)","type":"\#(type)"}}"#.utf8)).root
                return try volumes.setUp(volume, pod: pod, files: nil, now: Given.now)
            }
            #expect(throws: VolumeError("hostPath type check failed: \(directory)/x is not a directory")) { try set(directory + "/x", "Directory") }
            _ = try set(directory + "/x", "DirectoryOrCreate")
            _ = try set(directory + "/x", "Directory")
        }
    }
}

struct ProbeStateTests {
    private func settings(_ json: String) throws -> ProbeSettings { ProbeSettings(try JSONDocument(Array(json.utf8)).root) }

    @Test("readiness needs its thresholds in a row, both ways")
    func readiness() throws {
        var state = ProbeState(kind: .readiness, settings: try settings(#"{"successThreshold":2,"failureThreshold":2}"#))
        #expect(state.result == false)
        let changes = [ProbeOutcome.success, .failure("x"), .success, .success, .failure("x"), .unknown("x"), .failure("x")].map { state.take($0) }
        #expect(changes == [false, false, false, true, false, false, true])
        #expect(!state.isOnHold)
    }

    @Test("liveness fails at its threshold and is then on hold")
    func liveness() throws {
        var state = ProbeState(kind: .liveness, settings: try settings("{}"))
        #expect(state.result == true)
        #expect([1, 2, 3].map { _ in state.take(.failure("x")) } == [false, false, true])
        #expect(state.result == false && state.isOnHold)
    }

    @Test("startup knows nothing before its first result")
    func startup() throws {
        var state = ProbeState(kind: .startup, settings: try settings("{}"))
        #expect(state.result == nil)
        #expect(state.take(.success) && state.result == true)
    }

    @Test("a probe that has succeeded with a warning has succeeded")
    func warning() throws {
        var state = ProbeState(kind: .readiness, settings: try settings("{}"))
        #expect(state.take(.warning("x")) && state.result == true)
    }
}

struct ServerPartsTests {
    @Test("streaming URLs of the runtime are taken apart, others refused")
    func urls() {
        #expect(StreamingProxy.parse("http://127.0.0.1:39741/exec/abc")?.1 == "/exec/abc")
        #expect(StreamingProxy.parse("http://[::1]:80/x")?.0 == .tcp(host: "::1", port: 80))
        #expect(StreamingProxy.parse("https://x:1/y") == nil && StreamingProxy.parse("http://x/y") == nil)
    }

    @Test("queries are decoded")
    func query() {
        let query = Query("command=ls&command=-l%20a+b&input=1&tty=false&x")
        #expect(query.all("command") == ["ls", "-l a b"] && query.flag("stdin", "input") && !query.flag("tty"))
        #expect(Query.segments("/a%2Fb/c") == ["a/b", "c"] && Query.segments("/%zz") == nil)
    }
}
