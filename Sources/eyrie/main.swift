import CAllocator
import CJemalloc
import Dispatch
import Glibc
import Machines
import VPCCNI

// Two lives begin before anything else may start a thread: the CNI plug-in, which containerd runs under its own names and which must be quick, and
// the process that becomes a machine, which makes namespaces and must be alone in its process to do so.
let arguments = CommandLine.arguments
let invokedAs = arguments.first?.split(separator: "/").last.map(String.init) ?? ""
if Plugin.names.contains(invokedAs) { exit(Plugin.main(name: invokedAs)) }
if arguments.count == 3, arguments[1] == MachineRun.command { exit(MachineRun.main(directory: arguments[2], executable: Executable.path)) }

signal(SIGPIPE, SIG_IGN)
// What a burst took is given back also when nothing more comes. Not before here: it is a thread.
_ = callocator_return_memory()
Task {
    await EyrieCommand.main()
    exit(0)
}
dispatchMain()
