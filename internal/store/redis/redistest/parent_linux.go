package redistest

import (
	"os/exec"
	"syscall"
)

// endWithParent has the system kill a server whose test process ends without a word.
func endWithParent(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
