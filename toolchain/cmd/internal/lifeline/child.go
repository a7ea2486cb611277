package lifeline

import (
	"os/exec"
	"runtime"
)

// Child is a process that ends with this one.
type Child struct {
	cmd    *exec.Cmd
	exited chan error
}

// Start starts a command as a child. Nobody else may wait for the command.
func Start(cmd *exec.Cmd) (*Child, error) {
	endWithParent(cmd)
	child := &Child{cmd: cmd, exited: make(chan error, 1)}
	started := make(chan error)
	go func() {
		// Linux takes the end of the thread that forked for the parent's end. Go gives
		// threads up when it likes, but never one that a goroutine is locked to.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			child.exited <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return child, nil
}

// Run starts a command as a child and waits for it.
func Run(cmd *exec.Cmd) error {
	child, err := Start(cmd)
	if err != nil {
		return err
	}
	return child.Wait()
}

// Wait waits until the child has gone and its output has been read. It may be called once.
func (c *Child) Wait() error { return <-c.exited }
