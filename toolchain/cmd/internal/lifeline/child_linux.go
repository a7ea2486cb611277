package lifeline

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel kill the process when this one ends, however it ends.
func endWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
