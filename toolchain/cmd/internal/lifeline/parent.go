// Package lifeline ties the life of a plugin, and of what that plugin starts, to the engine
// that started it: also when the engine is killed and cannot say goodbye.
package lifeline

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

const (
	// How long a plugin may outlive its parent unnoticed.
	poll = 250 * time.Millisecond
	// How long a connection to a local address may take before its owner counts as gone.
	reach = 5 * time.Second
)

// Follow ends this process and all processes of its group when its parent ends. Call it first
// in main.
//
// The group is asked by an interrupt, and killed when the grace period is over; without one
// it is killed at once. A parent that is gone already is found by its engine's address; an
// empty address is not asked.
func Follow(engine string, grace time.Duration) error {
	parent := os.Getppid()
	// What we start must be within reach of one signal, and nothing else must. The engine
	// makes its plugins the leaders of their groups; a shell's child becomes one here.
	if syscall.Getpgrp() != os.Getpid() {
		if err := syscall.Setpgid(0, 0); err != nil {
			return fmt.Errorf("leading a process group: %w", err)
		}
	}
	// Asked after the parent's id was read: had the parent gone before, the id would be that
	// of whoever adopts orphans, and that one never ends.
	if engine != "" && !answers(engine) {
		return fmt.Errorf("no engine answers at %s", engine)
	}
	go func() {
		for os.Getppid() == parent {
			time.Sleep(poll)
		}
		endGroup(grace)
	}()
	return nil
}

// EngineAddress picks the engine's address from a plugin's arguments: the last one, after the
// flags. It is empty in a program that somebody runs by hand.
func EngineAddress(args []string) string {
	if len(args) == 0 {
		return ""
	}
	last := args[len(args)-1]
	_, port, err := net.SplitHostPort(last)
	if err != nil {
		return ""
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return ""
	}
	return last
}

func answers(address string) bool {
	connection, err := net.DialTimeout("tcp", address, reach)
	if err != nil {
		return false
	}
	_ = connection.Close()
	return true
}

// endGroup does not return.
func endGroup(grace time.Duration) {
	if grace > 0 {
		// Not for ourselves: somebody has to stay and see that the others go.
		signal.Ignore(os.Interrupt)
		_ = syscall.Kill(0, syscall.SIGINT)
		time.Sleep(grace)
	}
	_ = syscall.Kill(0, syscall.SIGKILL)
}
