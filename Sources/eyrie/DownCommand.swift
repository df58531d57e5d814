import ArgumentParser
import ControlPlane
import Glibc
import Logging
import Machines
import Processes

/// `eyrie down`: ends the service and its nodes; their records stay for the next `up`, unless purged.
struct DownCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down", abstract: "Ends the service and its nodes; keeps the data unless --purge is given.")

    @OptionGroup var data: DataDirectoryOption
    @Flag(help: "Also delete all clusters and the service's data. This cannot be undone.") var purge = false

    /// Time for a graceful end before the service is killed.
    private static let grace = Duration.seconds(20)

    func run() async throws {
        LoggingSystem.bootstrap { label in
            var handler = LineLog(label)
            handler.logLevel = .warning
            return handler
        }
        let directory = data.directory
        guard access(directory.path, F_OK) == 0 else {
            print("No Eyrie service has run with the data directory \(directory.path): there is nothing to stop.")
            return
        }
        if let service = directory.service(), service.process.isRunning {
            service.process.kill(15)
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await service.process.waitForExit() }
                group.addTask {
                    // Cut short when the service ends first.
                    do { try await Task.sleep(for: Self.grace) } catch { return }
                    service.process.kill()
                    await service.process.waitForExit()
                }
                await group.next()
                group.cancelAll()
            }
        }
        let networks = VPCNetworks(directory: directory.networks)
        let machines = LinuxMachines(.init(directory: directory.machines, executable: Executable.path), networks: networks)
        await machines.recover()
        try await machines.terminateAll()
        await HostProxy.haltAll(clusters: directory.clusters)
        for name in SmallFile.names(directory.clusters) { try VolumeFolders(cluster: "\(directory.clusters)/\(name)").detachAll() }
        try await networks.removeAll()
        // Without a VPC it is only in the way. Another service on this host makes its own again when it makes one.
        if try await networks.areGone() { try await VPCNetwork.removeServiceInterface() }
        guard purge else {
            print("Stopped. The data is kept in \(directory.path): eyrie up goes on with it.")
            return
        }
        // Only what is Eyrie's: the directory may hold other things.
        for name in [
            "records.db", "records.db-wal", "records.db-shm", "clusters", "machines", "networks", "kubeconfig", "ca.pem", "ca.key", "service.json",
            "settings.json",
            "credentials.json", "serve.log", "lock",
        ] {
            try await Command.run(["rm", "-rf", "--one-file-system", "\(directory.path)/\(name)"])
        }
        print("Stopped, and the data in \(directory.path) deleted.")
    }
}
