/// The machines' own architecture, as EC2 names it: they share the host's processor.
enum HostArchitecture {
    #if arch(arm64)
        static let name = "arm64"
    #else
        static let name = "x86_64"
    #endif
}
