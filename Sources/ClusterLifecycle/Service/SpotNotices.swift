import AWSServices

extension Reconciler {
    /// Instances that EC2 takes back: first those told while nobody listened.
    func watchInterruptions() async {
        for id in await context.network.interruptedInstances() { await interrupt(id) }
        for await id in context.network.interruptions { await interrupt(id) }
    }

    private func interrupt(_ id: String) async {
        do {
            guard let owner = try await InterruptInstanceStep().run(id, context) else { return }
            wake(.instance(id))
            wake(owner)
        } catch {
            context.logger.error(
                "an interruption could not be recorded; it is tried again at the next start", metadata: ["instance": "\(id)", "error": "\(error)"])
        }
    }
}
