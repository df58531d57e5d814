import ContainerRuntime
import Glibc
import KubeAPI
import Logging

@testable import Kubelet

/// A containerd of a test's own: root, state, socket, network configuration and image in a folder of its own.
final class Containerd {
    let directory: String
    let runtime: CRIRuntime
    private let process: pid_t
    static let image = "docker.io/library/busybox:test"

    /// Why real containers cannot be run here; nil when they can.
    static var obstacle: String? {
        if geteuid() != 0 { return "not root" }
        for program in ["/usr/bin/containerd", "/usr/sbin/runc", "/usr/bin/ctr"] where access(program, X_OK) != 0 {
            return "\(program) is not installed"
        }
        if access("/bin/busybox", X_OK) != 0 { return "busybox-static is not installed" }
        return nil
    }

    init() async throws {
        var template = Array("/tmp/kubelet-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FileError(operation: "mkdtemp", path: "/tmp", code: errno) }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.directory = directory
        try FileTree.makeDirectories(directory + "/cni")
        try FileTree.write(
            directory + "/cni/10-test.conflist",
            Array(
                """
                {"cniVersion":"0.4.0","name":"test","plugins":[{"type":"ptp","ipam":{"type":"host-local","dataDir":"\(directory)/ipam",
                 "ranges":[[{"subnet":"10.211.37.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}
                """.utf8))
        try FileTree.write(
            directory + "/config.toml",
            Array(
                """
                version = 2
                root = "\(directory)/root"
                state = "\(directory)/state"
                [grpc]
                  address = "\(directory)/containerd.sock"
                [plugins."io.containerd.grpc.v1.cri"]
                  restrict_oom_score_adj = true
                  sandbox_image = "\(Self.image)"
                  stream_server_address = "127.0.0.1"
                  [plugins."io.containerd.grpc.v1.cri".cni]
                    bin_dir = "/usr/lib/cni"
                    conf_dir = "\(directory)/cni"
                  [plugins."io.containerd.grpc.v1.cri".containerd]
                    snapshotter = "\(Self.snapshotter(directory))"
                """.utf8))
        process = try Self.spawn(["/usr/bin/containerd", "--config", directory + "/config.toml"], log: directory + "/containerd.log")
        runtime = CRIRuntime(socket: directory + "/containerd.sock", logger: Logger(label: "cri"))
        let runtime = runtime
        guard await eventually(20, { (try? await runtime.status())?.allSatisfy(\.status) ?? false }) else {
            throw FileError(operation: "start containerd", path: directory, code: ETIMEDOUT)
        }
        try makeImage()
    }

    /// overlayfs does not stand on itself: where /tmp is an overlay, files are copied.
    private static func snapshotter(_ directory: String) -> String {
        let table = (try? FileTree.read("/proc/self/mounts")) ?? []  // Unreadable: overlayfs is tried.
        let mounts = String(decoding: table, as: UTF8.self).split(separator: "\n").map { $0.split(separator: " ") }.filter { $0.count > 2 }
        let own = mounts.filter { $0[1] == "/" || directory.hasPrefix($0[1] + "/") }.max { $0[1].count < $1[1].count }
        return own?[2] == "overlay" ? "native" : "overlayfs"
    }

    static func spawn(_ arguments: [String], log: String? = nil) throws -> pid_t {
        var pid = pid_t()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        if let log {
            posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
        }
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] = [
            strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin:" + (getenv("PATH").map { String(cString: $0) } ?? "")), nil,
        ]
        defer { for pointer in pointers + environment { free(pointer) } }
        let result = posix_spawn(&pid, arguments[0], &actions, nil, &pointers, &environment)
        guard result == 0 else { throw FileError(operation: "spawn", path: arguments[0], code: result) }
        return pid
    }

    @discardableResult
    static func run(_ arguments: [String], log: String? = nil) throws -> Int32 {
        var status: Int32 = 0
        waitpid(try spawn(arguments, log: log), &status, 0)
        return status
    }

    /// Busybox and its applets as an image. It sleeps when told nothing else, so that it serves as sandbox image too.
    private func makeImage() throws {
        let rootfs = directory + "/rootfs"
        for folder in ["bin", "etc", "tmp", "proc", "sys", "dev"] { try FileTree.makeDirectories(rootfs + "/" + folder) }
        try FileTree.write(rootfs + "/bin/busybox", try FileTree.read("/bin/busybox"), mode: 0o755)
        for applet in ["sh", "sleep", "echo", "cat", "kill", "ls", "id", "env", "nc", "true", "false", "touch", "mkdir", "mount", "hostname", "wget"]
        {
            symlink("busybox", rootfs + "/bin/" + applet)
        }
        try FileTree.write(rootfs + "/etc/passwd", Array("root:x:0:0::/:/bin/sh\n".utf8))
        let archive = directory + "/image.tar"
        let script = """
            import sys, json, hashlib, tarfile, io
            name, root, out = sys.argv[1:4]
            b = io.BytesIO(); t = tarfile.open(fileobj=b, mode='w'); t.add(root, arcname='.'); t.close(); layer = b.getvalue()
            digest = lambda x: hashlib.sha256(x).hexdigest()
            config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sleep", "1000000"], "Env": ["PATH=/bin"]},
              "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest(layer)]}}).encode()
            manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
              "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + digest(config), "size": len(config)},
              "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:" + digest(layer), "size": len(layer)}]}).encode()
            index = json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + digest(manifest),
              "size": len(manifest), "annotations": {"io.containerd.image.name": name}}]}).encode()
            t = tarfile.open(out, 'w')
            for n, d in (("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", index), ("blobs/sha256/" + digest(layer), layer),
              ("blobs/sha256/" + digest(config), config), ("blobs/sha256/" + digest(manifest), manifest)):
                i = tarfile.TarInfo(n); i.size = len(d); t.addfile(i, io.BytesIO(d))
            t.close()
            """
        guard try Self.run(["/usr/bin/env", "python3", "-c", script, Self.image, rootfs, archive]) == 0,
            try Self.run(
                [
                    "/usr/bin/ctr", "--address", directory + "/containerd.sock", "-n", "k8s.io", "images", "import", "--snapshotter",
                    Self.snapshotter(directory), archive,
                ], log: directory + "/ctr.log") == 0
        else { throw FileError(operation: "make image", path: archive, code: EIO) }
    }

    /// Ends everything and removes the folder.
    func stop() async throws {
        for sandbox in try await runtime.podSandboxes(PodSandboxFilter()) {
            try await runtime.stopPodSandbox(sandbox.id)
            try await runtime.removePodSandbox(sandbox.id)
        }
        await runtime.close()
        kill(process, SIGTERM)
        var status: Int32 = 0
        waitpid(process, &status, 0)
        try FileTree.unmountAll(below: directory)
        try FileTree.removeAll(directory)
    }
}
