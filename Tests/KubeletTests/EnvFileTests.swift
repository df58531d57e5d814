import Glibc
import KubeAPI
import Testing

@testable import Kubelet

/// Variables from files that containers write.
struct EnvFileTests {
    private func value(_ text: String, _ name: String = "A") -> String {
        do { return try EnvFile.value(of: name, in: Array(text.utf8)) } catch { return "! \(error.description)" }
    }

    @Test(
        "values stand between single quotes and are taken as they are",
        arguments: [
            ("A='1'", "1"), ("  \tA='1'\n", "1"), ("# A='0'\n\n   # x\nB='2'\nA='1'\n", "1"), ("A='1'\nA='2'\n", "1"), ("B='1'\n", ""), ("", ""),
            ("A=''\n", ""),
            ("A='  a  b  '", "  a  b  "), ("A='x=y#z' # comment", "x=y#z"), ("A='1'#c", "1"), ("A='$B ${C} \\n \"q\"'", "$B ${C} \\n \"q\""),
            ("A='one\n  two\n\nthree '\nB='x'", "one\n  two\n\nthree "), ("A='1'\r\nB='2'\r\n", "1"), ("A= '1'\n", ""), ("B= x\nA='1'", "1"),
            ("A='文字 🌍'", "文字 🌍"), ("A='1'\nnonsense", "1"),
        ])
    func values(text: String, expected: String) {
        #expect(value(text) == expected)
    }

    @Test(
        "what is no such file is refused, with its line",
        arguments: [
            ("B='1'\nnonsense\nA='2'", "at line 2: missing '='"), ("='1'", "at line 1: empty variable name"),
            ("A ='1'", "at line 1: whitespace before '=' is not allowed"), ("A=1", "at line 1: value must be enclosed in single quotes"),
            ("A=\"1\"", "at line 1: value must be enclosed in single quotes"), ("A=", "at line 1: value must be enclosed in single quotes"),
            ("A='1''2'", "at line 1: unexpected content after closing quote"), ("A='1'x", "at line 1: unexpected content after closing quote"),
            ("B='1'\nA='2\nC='3'\n", "at line 3: unexpected content after closing quote"), ("\nA='2\n3", "starting at line 2: unclosed single quote"),
        ])
    func malformed(text: String, expected: String) {
        #expect(value(text) == "! invalid environment variable format \(expected)")
    }

    @Test("a line that is too long is refused, and no bytes are a trap")
    func limits() {
        #expect(value("A='" + String(repeating: "x", count: EnvFile.maximumLine) + "'").hasSuffix("token too long"))
        #expect(value("A='" + String(repeating: "x", count: EnvFile.maximumLine - 100) + "'").count == EnvFile.maximumLine - 100)
        var state: UInt64 = 7
        let alphabet = Array("A=' #\n\r\t\0".utf8) + [0xFF]
        for _ in 0..<20_000 {
            var bytes: [UInt8] = []
            for _ in 0..<12 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes.append(alphabet[Int(state >> 33) % alphabet.count])
            }
            _ = try? EnvFile.value(of: "A", in: bytes)
        }
    }

    @Test("only files within the volume are read, whatever stands there")
    func read() throws {
        try withDirectory { (directory: String) throws -> Void in
            let volume = directory + "/volume"
            try FileTree.makeDirectories(volume + "/sub")
            try FileTree.write(directory + "/secret", Array("A='s'".utf8))
            try FileTree.write(volume + "/sub/env", Array("A='1'".utf8))
            try FileTree.link(volume + "/inside", to: "sub/env")
            try FileTree.link(volume + "/outside", to: "../secret")
            try FileTree.link(volume + "/absolute", to: "/etc/passwd")
            #expect(mkfifo(volume + "/pipe", 0o600) == 0)
            try FileTree.write(volume + "/large", [UInt8](repeating: 0x23, count: EnvFile.maximumBytes + 1))
            for name in ["sub/env", "inside"] { #expect(try EnvFile.read(name, volume: volume) == Array("A='1'".utf8)) }
            for name in ["outside", "absolute", "../secret", "/etc/passwd", "pipe", "sub", "large", "gone"] {
                #expect(throws: (any Error).self, "\(name)") { try EnvFile.read(name, volume: volume) }
            }
        }
    }

    @Test("a variable has the value of its name; one that is not there is an error, or left out when it may be")
    func variables() async throws {
        var template = Array("/tmp/kubelet-env-XXXXXX".utf8CString)
        #expect(mkdtemp(&template) != nil)
        let volume = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? FileTree.removeAll(volume) }  // What is left of a failed test is in /tmp.
        try FileTree.write(volume + "/env", Array("A='1'\nEMPTY=''\n".utf8))
        try FileTree.write(volume + "/broken", Array("A=1".utf8))
        func make(_ reference: String, volumes: [String: String]? = nil) async throws -> String? {
            let pod = try Given.pod(
                """
                {"containers":[{"name":"a","image":"i","env":[{"name":"X","valueFrom":{"fileKeyRef":\(reference)}}]}],
                 "volumes":[{"name":"work","emptyDir":{}},{"name":"host","hostPath":{"path":"/"}}]}
                """)
            return try await Environment.make(
                pod: pod, container: pod.containers[0], services: [], fields: FieldReferences(pod: pod), objects: GivenObjects(),
                volumes: volumes ?? ["work": volume, "host": volume]
            ).environment["X"]
        }
        #expect(try await make(#"{"volumeName":"work","path":"env","key":"A"}"#) == "1")
        #expect(try await make(#"{"volumeName":"work","path":"env","key":"B","optional":true}"#) == nil)
        #expect(try await make(#"{"volumeName":"work","path":"env","key":"EMPTY","optional":true}"#) == nil)
        for (reference, text) in [
            (#"{"volumeName":"work","path":"env","key":"B"}"#, "environment variable key \"B\" not found in file \"\(volume)/env\""),
            (#"{"volumeName":"work","path":"env","key":"EMPTY"}"#, "environment variable key \"EMPTY\" not found in file \"\(volume)/env\""),
            (#"{"volumeName":"host","path":"env","key":"A"}"#, "cannot find the volume \"host\" referenced by FileKeyRef"),
            (#"{"volumeName":"none","path":"env","key":"A"}"#, "cannot find the volume \"none\" referenced by FileKeyRef"),
            (
                #"{"volumeName":"work","path":"broken","key":"A"}"#,
                "couldn't parse env file: invalid environment variable format at line 1: value must be enclosed in single quotes"
            ),
            (#"{"volumeName":"work","path":"gone","key":"A","optional":true}"#, "couldn't parse env file: open gone: No such file or directory"),
        ] { await #expect(throws: ContainerConfigError(text)) { try await make(reference) } }
    }
}
